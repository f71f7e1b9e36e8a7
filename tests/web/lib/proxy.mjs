// A plain TCP relay between the page and the server, whose connections can be cut.
import net from "node:net";

export class Proxy {
  static async start(target) {
    const proxy = new Proxy();
    const { hostname, port, search } = new URL(target);
    proxy.pairs = new Set();
    proxy.server = net.createServer((client) => {
      const server = net.connect(Number(port), hostname);
      const pair = [client, server];
      proxy.pairs.add(pair);
      const drop = () => {
        proxy.pairs.delete(pair);
        client.destroy();
        server.destroy();
      };
      for (const socket of pair) socket.on("error", drop).on("close", drop);
      client.pipe(server).pipe(client);
    });
    await new Promise((resolve) => proxy.server.listen(0, "127.0.0.1", resolve));
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}/${search}`;
    return proxy;
  }

  /** Every connection breaks, in the middle of whatever it carries. */
  cut() {
    for (const pair of [...this.pairs]) for (const socket of pair) socket.destroy();
  }

  async stop() {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
