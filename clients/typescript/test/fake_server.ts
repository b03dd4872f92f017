import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
  method: string;
  path: string;
  body: unknown;
  token: string | undefined;
}

/** A fake HTTP server: `answer` decides, and `asked` keeps what was asked. */
export class FakeServer {
  readonly asked: Asked[] = [];
  answer: (asked: Asked) => [number, unknown] | null = () => [202, { accepted: 1 }];
  private server: Server | null = null;
  private port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Records that were posted, in order. */
  get records(): Record<string, unknown>[] {
    return this.asked
      .filter((one) => one.path === "/api/v1/records")
      .flatMap((one) => one.body as Record<string, unknown>[]);
  }

  async start(): Promise<this> {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const asked = {
          method: request.method ?? "",
          path: request.url ?? "",
          body: text ? (JSON.parse(text) as unknown) : null,
          token: request.headers.authorization,
        };
        this.asked.push(asked);
        const answer = this.answer(asked);
        if (!answer) return; // hangs
        response.writeHead(answer[0], { "Content-Type": "application/json" });
        response.end(JSON.stringify(answer[1]));
      });
    });
    await new Promise<void>((resolve) => this.server?.listen(this.port, "127.0.0.1", resolve));
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((resolve) => this.server?.close(resolve));
  }
}

/** Wait until `is` holds, for at most five seconds. */
export async function until(is: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 5_000; !is(); ) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
