// The table of live liquidations on the index page: newest first, each number once, resumed after a break.
(() => {
  const ROWS = 25, RETRY_MS = 2000;
  const rows = document.getElementById("feed-rows"), state = document.getElementById("feed-state");
  let last = null;

  function connect() {
    const since = last === null ? "" : `?since=${last}`;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/v1/ws/liquidations${since}`);
    socket.onmessage = (event) => take(JSON.parse(event.data));
    socket.onclose = () => {
      state.textContent = "not connected; trying again";
      setTimeout(connect, RETRY_MS);
    };
  }

  function take(frame) {
    if (frame.type === "feed") {
      state.textContent = frame.simulated ? "SIMULATED: these liquidations are made up" : "connected";
      if (last === null || frame.complete === false) last = frame.resumed_from ?? frame.sequence;
    } else if (frame.type === "liquidation_order") {
      // Without a number it is not stored yet, and comes again.
      if (frame.sequence === null || (last !== null && frame.sequence <= last)) return;
      last = frame.sequence;
      show(frame.data);
    }
  }

  function show(order) {
    const row = rows.insertRow(0);
    const cells = [order.displayTime, order.symbol, order.side, order.quantityFormatted, order.priceUsdtFormatted];
    for (const text of cells) row.insertCell().textContent = text;
    while (rows.rows.length > ROWS) rows.deleteRow(-1);
  }

  connect();
})();
