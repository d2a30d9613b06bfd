"""The contracts of the exchange: real names, steps as Binance's, prices made up; and exchangeInfo of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any

from liquidations.sample import INSTRUMENTS, Instrument, delivery_symbol, instrument
from streams.simulator.kinds import pair_of

# The sample's contracts come first, special ones among them, so that few symbols show every kind of name.
SPECIAL = (
    *INSTRUMENTS,
    instrument("1000SHIBUSDT", 0.0084, "0.000001", "1", 4),
    instrument("ETHUSDC", 2_900, "0.01", "0.001", 2),
    instrument("SOLUSDC", 135, "0.0100", "0.01", 1),
    instrument("XRPUSDC", 2.1, "0.0001", "0.1", 1),
    instrument("ETHUSDT", 2_920, "0.01", "0.001", 0.5, quarterly=True),
)
BASES = """
BCH TRX ETC XLM DASH ZEC XTZ ATOM ONT IOTA BAT VET NEO QTUM IOST THETA ALGO ZIL KNC ZRX COMP SXP KAVA BAND RLC
SNX DOT YFI CRV TRB RUNE SUSHI EGLD ICX STORJ UNI ENJ KSM AAVE FIL RSR LRC BEL AXS ALPHA ZEN SKL GRT BNT 1INCH
CHZ SAND ANKR RVN SFP COTI CHR MANA ALICE HBAR ONE DENT CELR HOT MTL OGN NKN BAKE GTC MASK IOTX C98 ATA DYDX
1000XEC GALA CELO AR ARPA CTSI LPT ENS PEOPLE ROSE DUSK FLOW IMX API3 GMT APE WOO JASMY OP XMR INJ STG SPELL
1000LUNC LUNA2 LDO APT QNT FXS HOOK MAGIC T HIGH MINA ASTR PHB FET GMX CFX STX ACH SSV CKB LQTY ARB ID JOE TRU
RDNT HFT XVS BLUR EDU 1000FLOKI UMA NMR MAV XVG WLD PENDLE ARKM AGLD YGG DODOX OXT SEI CYBER HIFI ARK BICO
BIGTIME WAXP BSV RIF POLYX GAS POWR TIA CAKE MEME TOKEN ORDI STEEM ILV NTRN KAS BEAMX 1000BONK PYTH SUPER ONG
ETHW JTO 1000SATS AUCTION 1000RATS ACE MOVR TWT NFP AI XAI MANTA ONDO LSK ALT JUP ZETA RONIN DYM OM PIXEL STRK
GLM PORTAL TON AXL MYRO METIS AEVO VANRY BOME ETHFI W TNSR SAGA TAO OMNI REZ BB NOT TURBO IO ZK MEW LISTA ZRO
RENDER BANANA RARE G SYN SYS VOXEL BRETT POPCAT SUN DOGS MBOX CHESS FLUX BSW QUICK NEIROETH RPL POL UXLINK
NEIRO 1MBABYDOGE FIDA FIO CATI GHST HMSTR REI COS EIGEN DIA 1000CAT SCR GOAT MOODENG SAFE SANTOS PONKE CETUS
COW 1000000MOG GRASS DRIFT SWELL PNUT ACT HIPPO 1000X DEGEN BAN AKT SLERF SCRT 1000WHY 1000CHEEMS THE MORPHO
CHILLGUY KAIA AERO ACX ORCA MOVE RAYSOL VIRTUAL SPX KOMA ME AVA DEGO VELODROME MOCA VANA PENGU LUMIA USUAL
KMNO CGPT AIXBT HIVE DEXE PHA DF GRIFFAIN ZEREBRO BIO COOKIE ALCH SWARMS SONIC D PROM S SOLV ARC AVAAI TRUMP
MELANIA VTHO ANIME PIPPIN VINE VVV BERA TST LAYER HEI B3 IP GPS SHELL KAITO RED VIC EPIC BMT MUBARAK FORM TUT
BID BROCCOLI714 BROCCOLIF3B BANANAS31 SIREN BR PLUME JELLYJELLY PAXG WAL FUN MLN ATH BABY FORTH PROMPT STO FHE
"""
MAX_SYMBOLS = len(SPECIAL) + len(BASES.split())
QUOTES = ("USDT", "USDC")
PERPETUAL_DELIVERY_MS = 4_133_404_800_000  # what Binance says for contracts without a delivery
ONBOARD_MS = 1_569_398_400_000
ORDER_TYPES = ("LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")


@dataclass(frozen=True, slots=True)
class Contract:
    """``price`` is its level in quote asset; ``tick`` and ``lot`` are steps as text, as long as the numbers' texts."""

    symbol: str
    price: float
    tick: str
    lot: str
    weight: float  # its share of all trades and liquidations, of no unit

    @property
    def pair(self) -> str:
        return pair_of(self.symbol)

    @property
    def quote(self) -> str:
        return next((quote for quote in QUOTES if self.pair.endswith(quote)), "USDT")

    @property
    def base(self) -> str:
        return self.pair.removesuffix(self.quote)

    @property
    def is_dated(self) -> bool:
        return self.pair != self.symbol


def digits(step: str) -> int:
    """Decimal places of a step: 3 for "0.001" and "0.010"."""
    return len(step.partition(".")[2])


def contracts_list(count: int, start_ms: int) -> list[Contract]:
    """The first ``count`` contracts; dated ones are those that can be traded at ``start_ms``."""
    named = [from_instrument(each, start_ms) for each in SPECIAL]
    return [*named, *map(made_up, BASES.split())][:count]


def from_instrument(each: Instrument, start_ms: int) -> Contract:
    symbol = delivery_symbol(each.symbol, start_ms) if each.is_quarterly else each.symbol
    return Contract(symbol, each.price, f"{each.tick_size:f}", f"{each.lot_size:f}", each.weight)


@cache
def made_up(base: str) -> Contract:
    """A contract whose price follows from its name, with steps that suit it."""
    random = Random(f"price/{base}")
    price = random.lognormvariate(math.log(0.3), 2.0)
    magnitude = math.floor(math.log10(price))
    # Some ten thousand ticks to the price, and lots of about a dollar, as with most of Binance's.
    tick, lot = step_text(4 - magnitude), step_text(max(magnitude, 0))
    return Contract(f"{base}USDT", price, tick, lot, weight=random.uniform(0.1, 1.0))


def step_text(places: int) -> str:
    """ "0.001" for 3 decimal places; whole numbers for none or fewer."""
    return f"{10.0 ** -max(places, 0):.{max(places, 0)}f}"


def exchange_info(contracts: Sequence[Contract], now_ms: int, weight_limit: int) -> dict[str, Any]:
    """The body of ``/fapi/v1/exchangeInfo``, laid out as Binance's."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight_limit},
            {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
        ],
        "exchangeFilters": [],
        "assets": [{"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"} for asset in QUOTES],
        "symbols": [symbol_info(contract) for contract in contracts],
    }


def symbol_info(contract: Contract) -> dict[str, Any]:
    return {
        "symbol": contract.symbol,
        "pair": contract.pair,
        "contractType": "CURRENT_QUARTER" if contract.is_dated else "PERPETUAL",
        "deliveryDate": delivery_ms(contract) if contract.is_dated else PERPETUAL_DELIVERY_MS,
        "onboardDate": ONBOARD_MS,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": contract.base,
        "quoteAsset": contract.quote,
        "marginAsset": contract.quote,
        "pricePrecision": digits(contract.tick),
        "quantityPrecision": digits(contract.lot),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": filters(contract),
        "orderTypes": ORDER_TYPES,
        "timeInForce": ("GTC", "IOC", "FOK", "GTX", "GTD"),
        "permissionSets": ("GRID", "COPY"),
    }


def filters(contract: Contract) -> list[dict[str, Any]]:
    tick, step = contract.tick, contract.lot
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "10000000", "stepSize": step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": "1000000", "stepSize": step},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500", "multiplierDecimal": "4"},
    ]


def delivery_ms(contract: Contract) -> int:
    """08:00 UTC of the day in a dated symbol."""
    day = datetime.strptime(contract.symbol.rpartition("_")[2], "%y%m%d").replace(hour=8, tzinfo=UTC)
    return int(day.timestamp() * 1000)
