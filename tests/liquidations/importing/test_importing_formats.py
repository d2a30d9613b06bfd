import json
from decimal import Decimal

import pytest

from liquidations.importing.outcomes import ContractsRejected, Rejected, Skipped, SourceUnusable
from liquidations.types import ForcedOrder

RECORDER_ROW = "RARE,BUY,LIMIT,IOC,4421,0.2226588,0.2185000,FILLED,3750,4421,1723895903305,984.37"
ARCHIVE_NAME = "BTCUSDT-liquidationSnapshot-2023-06-01.csv"
ARCHIVE_HEADER = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,last_fill_quantity,"
    "accumulated_fill_quantity"
)
ARCHIVE_ROW = "1685577600123,SELL,LIMIT,IOC,0.115,26142.12,26245.10,FILLED,0.015,0.115"
COIN_ROW = "1685577600123,SELL,LIMIT,IOC,26,26000.0,25000.0,FILLED,13,26"
OWN_ROW = {
    "symbol": "BTCUSDT",
    "side": "sell",
    "order_type": "LIMIT",
    "time_in_force": "IOC",
    "original_quantity": "0.1150000000",
    "price": "26142.1200000000",
    "average_price": "26245.1000000000",
    "order_status": "FILLED",
    "order_last_filled_quantity": "0.0150000000",
    "order_filled_accumulated_quantity": "0.1150000000",
    "order_trade_time": 1685577600123,
}
ORDER = ForcedOrder(
    "BTCUSDT", "SELL", "LIMIT", "IOC", Decimal("0.115"), Decimal("26142.12"), Decimal("26245.10"), "FILLED",
    Decimal("0.015"), Decimal("0.115"), 1685577600123,
)  # fmt: skip


def force_order(**changes) -> dict:
    order = {
        "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.115", "p": "26142.12", "ap": "26245.10",
        "X": "FILLED", "l": "0.015", "z": "0.115", "T": 1685577600123,
    }  # fmt: skip
    return {"e": "forceOrder", "E": 1685577600999, "o": {**order, **changes}}


def outcomes(records) -> list:
    return [record.outcome for record in records]


def reasons(records) -> list[str]:
    return [record.outcome.reason for record in records]


def test_recorder_rows_are_read_by_position_and_their_usd_size_is_ignored(read) -> None:
    [order] = outcomes(read(RECORDER_ROW))
    assert order == ForcedOrder(
        "RAREUSDT", "BUY", "LIMIT", "IOC", Decimal(4421), Decimal("0.2226588"), Decimal("0.2185000"), "FILLED",
        Decimal(3750), Decimal(4421), 1723895903305,
    )  # fmt: skip


def test_a_bad_row_is_rejected_with_its_line_number_and_the_rest_is_read(read) -> None:
    rows = [RECORDER_ROW, "garbage", "", RECORDER_ROW.replace("BUY", "HOLD"), RECORDER_ROW.replace("4421", "NaNa", 1)]
    records = read("\r\n".join([*rows, RECORDER_ROW]))
    assert [record.line for record in records] == [1, 2, 4, 5, 6]
    assert reasons(records[1:4]) == [
        "layout: not 12 columns", "side: neither BUY nor SELL", "quantity: not a number",
    ]  # fmt: skip
    assert records[4].outcome == records[0].outcome


def test_bytes_that_are_not_utf8_cost_one_row(read) -> None:
    records = read(RECORDER_ROW.encode() + b"\n\xff\xfe" + RECORDER_ROW.encode() + b"\n" + RECORDER_ROW.encode())
    assert [type(outcome) for outcome in outcomes(records)] == [ForcedOrder, Rejected, ForcedOrder]


def test_an_average_price_of_zero_is_no_average_but_a_price_of_zero_stays(read) -> None:
    [order] = outcomes(read(json.dumps(force_order(ap="0", p="0"))))
    assert order.average_price is None
    assert order.price == 0


def test_a_headed_file_is_read_by_its_names_in_any_order_and_never_by_the_event_time(read) -> None:
    header = "Event Time (IST),Trade Time (IST),Symbol,SIDE,Quantity,Price,Average Price,Filled Quantity"
    row = "2023-06-01 05:30:01.999000+05:30,2023-06-01 05:30:00.123000+05:30,btcusdt,sell,0.115,26142.12,None,0.115"
    records = read(f"{header}\n{row}\n")
    assert isinstance(records[0].outcome, Skipped)
    assert records[1].outcome == ORDER._replace(
        order_type=None, time_in_force=None, average_price=None, order_status=None, order_last_filled_quantity=None
    )


def test_a_header_without_a_trade_time_is_not_recognised(read) -> None:
    with pytest.raises(SourceUnusable, match="not recognised"):
        read("Symbol,Side,Quantity,Event Time\nBTCUSDT,SELL,1,1685577600123\n")


def test_quoted_cells_and_blanks_after_commas_are_understood(read) -> None:
    records = read('symbol, side, quantity, trade time\n"BTCUSDT", SELL, "0.115", 1685577600123\n')
    assert records[1].outcome.original_quantity == Decimal("0.115")


def test_files_with_different_headers_may_be_concatenated(read) -> None:
    first = "symbol,side,quantity,trade time\nBTCUSDT,SELL,1,1685577600123\n"
    second = "trade time,quantity,side,symbol,extra\n1685577600124,2,BUY,ETHUSDT,x\n"
    _, one, header, two = outcomes(read(first + second))
    assert isinstance(header, Skipped)
    assert (one.symbol, two.symbol, two.original_quantity) == ("BTCUSDT", "ETHUSDT", 2)


def test_our_own_columns_are_a_header_too(read) -> None:
    header = ",".join(OWN_ROW)
    row = ",".join(map(str, {**OWN_ROW, "average_price": "0"}.values()))
    assert outcomes(read(f"{header}\n{row}\n"))[1] == ORDER._replace(average_price=Decimal(0))


def test_the_archive_takes_the_symbol_from_the_file_name(read) -> None:
    content = f"{ARCHIVE_HEADER}\n{ARCHIVE_ROW}\n{ARCHIVE_ROW}\n"
    assert outcomes(read(content, ARCHIVE_NAME))[1:] == [ORDER, ORDER]
    assert outcomes(read(content, "renamed.csv", symbol="btcusdt"))[1:] == [ORDER, ORDER]
    assert outcomes(read(f"{ARCHIVE_ROW}\n", ARCHIVE_NAME)) == [ORDER]


def test_an_archive_of_no_or_of_contradicting_symbols_is_refused(read) -> None:
    with pytest.raises(SourceUnusable, match="--symbol"):
        read(f"{ARCHIVE_HEADER}\n{ARCHIVE_ROW}\n", "renamed.csv")
    with pytest.raises(SourceUnusable, match="BTCUSDT, --symbol says ETHUSDT"):
        read(f"{ARCHIVE_HEADER}\n{ARCHIVE_ROW}\n", ARCHIVE_NAME, symbol="ETHUSDT")


def test_coin_margined_archives_are_refused_without_a_contract_size(read) -> None:
    for symbol in ("BTCUSD_PERP", "BTCUSD_230630"):
        with pytest.raises(SourceUnusable, match="--contract-size"):
            read(f"{ARCHIVE_HEADER}\n{COIN_ROW}\n", f"{symbol}-liquidationSnapshot-2023-06-01.csv")


def test_a_contract_size_converts_contracts_to_base_asset(read) -> None:
    name = "BTCUSD_PERP-liquidationSnapshot-2023-06-01.csv"
    [_, order] = outcomes(read(f"{ARCHIVE_HEADER}\n{COIN_ROW}\n", name, contract_size_usd=Decimal(100)))
    assert order.symbol == "BTCUSD_PERP"
    assert order.original_quantity == Decimal("0.1")  # 26 * 100 / 26 000
    assert order.order_last_filled_quantity == Decimal("0.052")  # 13 * 100 / 25 000
    assert order.order_filled_accumulated_quantity == Decimal("0.104")


def test_the_identity_of_converted_contracts_does_not_depend_on_the_average_price(read) -> None:
    name = "BTCUSD_PERP-liquidationSnapshot-2023-06-01.csv"
    rows = f"{ARCHIVE_HEADER}\n{COIN_ROW}\n{COIN_ROW.replace('25000.0', 'None')}\n"
    [_, known, unknown] = outcomes(read(rows, name, contract_size_usd=Decimal(100)))
    assert known.original_quantity == unknown.original_quantity


def test_coin_margined_messages_are_rejected_and_name_their_file(read) -> None:
    lines = f"{json.dumps(force_order(s='BTCUSD_PERP'))}\n{json.dumps(force_order())}\n"
    refused, order = outcomes(read(lines))
    assert isinstance(refused, ContractsRejected)
    assert order == ORDER


def test_a_contract_size_leaves_usdt_margined_orders_alone(read) -> None:
    assert outcomes(read(json.dumps(force_order()), contract_size_usd=Decimal(100))) == [ORDER]


@pytest.mark.parametrize(
    "wrap",
    [
        json.dumps,
        lambda event: json.dumps({"stream": "!forceOrder@arr", "data": event}),
        lambda event: json.dumps({"stream": "!forceOrder@arr", "data": [event]}),
        lambda event: json.dumps([event]),
        lambda event: json.dumps([event], indent=2),
        lambda event: json.dumps(event, indent=2),
        lambda event: f"1685577600999123 {json.dumps(event)}",
        lambda event: f"1685577600.999: {json.dumps(event)}",
    ],
)
def test_force_orders_are_read_however_they_are_wrapped(read, wrap) -> None:
    assert outcomes(read(wrap(force_order(ps="BTCUSDT", st=1)))) == [ORDER]


def recorded(*frames: str) -> str:
    return "".join(
        f"{json.dumps({'received_ms': 1685577601000, 'frame': frame}, separators=(',', ':'))}\n" for frame in frames
    )


def test_our_own_recordings_are_read_however_their_frames_are_wrapped(read) -> None:
    event = force_order()
    frames = [event, {"stream": "x", "data": event}, {"stream": "x", "data": [event, event]}, [event]]
    assert outcomes(read(recorded(*map(json.dumps, frames)))) == [ORDER] * 5


def test_other_frames_of_a_recording_are_skipped_and_broken_ones_rejected_with_their_line(read) -> None:
    broken = json.dumps(force_order())[:-4]
    frames = ['{"e":"aggTrade","p":"1"}', '{"result":null,"id":1}', "no json", broken, json.dumps(force_order())]
    records = read(recorded(*frames) + '\n{"received_ms":1,"fra')
    assert [record.line for record in records] == [1, 2, 3, 4, 5, 7]
    assert reasons(records[:4]) == ["not a forced order"] * 2 + ["text: not JSON"] * 2
    assert records[3].text == broken.encode()
    assert records[4].outcome == ORDER
    assert records[5].outcome.reason == "text: not JSON"


def test_a_recording_of_garbage_is_still_recognised(read) -> None:
    assert reasons(read(recorded("", "\x00 no json"))) == ["text: not JSON"] * 2


def test_other_messages_are_skipped_not_rejected(read) -> None:
    others = [{"e": "trade", "p": "1"}, {"result": None, "id": 1}, {"lastUpdateId": 5, "bids": []}, []]
    lines = [json.dumps(line) for line in (force_order(), *others)]
    records = read("\n".join(lines))
    assert records[0].outcome == ORDER
    assert reasons(records[1:]) == ["not a forced order"] * 4


@pytest.mark.parametrize(
    "line",
    ['{"e":"forceOrder"}', '{"e":"forceOrder","o":[]}', '{"e":"forceOrder","o":{"s":["BTC"]}}', "{", "[" * 100_000, "7",
     json.dumps(force_order(q=True)), json.dumps(force_order(T=1.5)), json.dumps(force_order(s=None))],
)  # fmt: skip
def test_broken_messages_are_rejected(read, line: str) -> None:
    records = read(f"{json.dumps(force_order())}\n{line}\n{json.dumps(force_order())}")
    assert [type(outcome) for outcome in outcomes(records)] == [ForcedOrder, Rejected, ForcedOrder]


def test_an_export_of_lines_comes_back_exactly(read) -> None:
    numbers = {
        name: float(value) if "price" in name or "quantity" in name else value for name, value in OWN_ROW.items()
    }
    assert outcomes(read(f"{json.dumps(OWN_ROW)}\n{json.dumps(numbers)}\n")) == [ORDER, ORDER]


def test_exported_numbers_never_pass_through_a_float(read) -> None:
    [order] = outcomes(read(json.dumps(OWN_ROW).replace('"0.1150000000"', "0.12345678901234567890123")))
    assert str(order.original_quantity) == "0.12345678901234567890123"


def test_exported_envelopes_and_arrays_are_read(read) -> None:
    envelope = {"data": [OWN_ROW, OWN_ROW], "pagination": {"page": 1, "has_more": False}}
    for text in (json.dumps(envelope), json.dumps(envelope, indent=1), json.dumps([OWN_ROW, OWN_ROW])):
        assert outcomes(read(text)) == [ORDER, ORDER]


def test_exports_of_nothing_are_fine(read) -> None:
    assert read("") == read("\n") == read("[]") == []


def test_nulls_of_an_export_stay_null_and_zeros_zero(read) -> None:
    [order] = outcomes(read(json.dumps({**OWN_ROW, "price": None, "average_price": 0, "order_type": None})))
    assert (order.price, order.average_price, order.order_type) == (None, 0, None)


def test_the_price_that_stands_in_for_an_average_in_limit_mode_is_not_taken_for_one(read) -> None:
    row = {**OWN_ROW, "average_price": OWN_ROW["price"]}
    assert outcomes(read(json.dumps([row])))[0].average_price is None
    assert outcomes(read(json.dumps(row)))[0].average_price == Decimal(OWN_ROW["price"])
    assert outcomes(read(json.dumps({"data": [row]}), format="export"))[0].average_price == Decimal(OWN_ROW["price"])


def test_a_cut_export_is_a_fault_after_its_rows(read, import_paths, table, tmp_path) -> None:
    file = tmp_path / "export.jsonl"
    file.write_text(f'{json.dumps(OWN_ROW)}\n{{"error": "Streaming error: timeout"}}\n')
    summary = import_paths(file).summary
    assert list(table.rows.values()) == [ORDER]
    assert summary.bad == [(str(file), "the export was cut off: Streaming error: timeout")]


def test_an_array_that_ends_early_is_a_fault_after_its_rows(import_paths, table, tmp_path) -> None:
    file = tmp_path / "orders.json"
    file.write_text(json.dumps([OWN_ROW, {**OWN_ROW, "order_trade_time": 5}])[:-30])
    summary = import_paths(file).summary
    assert list(table.rows.values()) == [ORDER]
    assert [reason for _, reason in summary.bad] == ["ends within its array: it was cut off"]


@pytest.mark.parametrize(
    "content",
    ["open_time,open,high,low,close,volume\n1,2,3,4,5,6\n", '{"timezone":"UTC"}', "hello\nworld\n", "\x00\x01\x02"],
)
def test_other_files_are_not_recognised(read, content: str) -> None:
    with pytest.raises(SourceUnusable, match="not recognised"):
        read(content)


def test_a_format_can_be_named(read) -> None:
    assert {type(outcome) for outcome in outcomes(read("hello\nworld\n", format="recorder"))} == {Rejected}


def test_garbage_before_the_first_good_line_does_not_hide_the_format(read) -> None:
    assert isinstance(read("# my recording\n" + RECORDER_ROW)[1].outcome, ForcedOrder)
    assert read("starting…\n" + json.dumps(force_order()))[1].outcome == ORDER
