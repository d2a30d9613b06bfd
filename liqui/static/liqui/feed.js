// The table of live liquidations on the index page: the newest at once, then each as it comes, resumed after a break.
(() => {
  const ROWS = 25, RETRY_MS = 2000, WITHOUT_ORDERS = ["none", "sample"];
  const rows = document.getElementById("feed-rows"), state = document.getElementById("feed-state");
  let socket, feed = null, last = null;

  function connect() {
    const since = last === null ? "" : `?since=${last}`;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/api/v1/ws/liquidations${since}`);
    socket.onmessage = (event) => take(JSON.parse(event.data));
    socket.onclose = () => {
      feed = null;
      say();
      setTimeout(connect, RETRY_MS);
    };
  }

  function take(frame) {
    if (frame.type === "feed" && last === null && frame.sequence) goBack(frame.sequence);
    else if (frame.type === "feed") {
      feed = frame;
      if (last === null || frame.complete === false) last = frame.resumed_from ?? frame.sequence;
    } else if (frame.type === "liquidation_order") {
      // Without a number it is not stored yet, and comes again.
      if (frame.sequence === null || (last !== null && frame.sequence <= last)) return;
      last = frame.sequence;
      show(frame.data);
    }
    say();
  }

  // A new page: once more from some orders before the newest, so that nobody waits in front of an empty table.
  function goBack(newest) {
    last = Math.max(0, newest - ROWS);
    socket.onmessage = null;
    socket.onclose = connect;
    socket.close();
  }

  function show(order) {
    const row = rows.insertRow(0);
    const cells = [order.displayTime, order.symbol, order.side, order.quantityFormatted, order.priceUsdtFormatted];
    for (const text of cells) row.insertCell().textContent = text;
    while (rows.rows.length > ROWS) rows.deleteRow(-1);
  }

  function say() {
    state.textContent = words();
  }

  function words() {
    if (!navigator.onLine) return "this browser is offline";
    if (feed === null) return "not connected; trying again";
    if (WITHOUT_ORDERS.includes(feed.feed)) return "no live feed; make run FEED=live";
    const source = feed.simulated ? "SIMULATED: these liquidations are made up" : "connected to this server";
    return rows.rows.length ? source : `${source}; none in the last hour`;
  }

  addEventListener("online", say);
  addEventListener("offline", say);
  connect();
})();
