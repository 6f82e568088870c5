// One conversation of the stock JavaScript client, `@openai/agents-realtime`, driven by `javascript_client.py`:
//
//     node client.mjs FOLDER        FOLDER holds the `node_modules` with the packages
//
// Reads one command and writes one observation for each line, as JSON. The client is configured as its documentation
// does it; nothing of it is replaced but its clock, so that a test decides how long a reply has been playing.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { format } from 'node:util';

const CHUNK_BYTES = 20 * 48; // 20 ms of PCM16 at 24 kHz

const load = createRequire(`${process.argv[2]}/package.json`);
const { RealtimeAgent, RealtimeSession, tool } = load('@openai/agents-realtime');
const { z } = load('zod');

const describe = (error) => error.message ?? JSON.stringify(error);
const write = (observation) => process.stdout.write(`${JSON.stringify(observation)}\n`);

let now = 0; // milliseconds, moved by `advance`
Date.now = () => now;
for (const level of ['log', 'info', 'warn', 'error']) {
  console[level] = (...parts) => write({ type: 'logged', level, text: format(...parts) });
}

const getWeather = tool({
  name: 'get_weather',
  description: 'Look up the current weather in a city.',
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    write({ type: 'tool_called', city });
    return 'It is foggy and 12 degrees.';
  },
});

let session;

const commands = {
  async connect({ url, apiKey, options }) {
    const agent = new RealtimeAgent({
      name: 'Assistant',
      instructions: 'Use the tool for any question about the weather. Answer in one short sentence.',
      tools: [getWeather],
    });
    session = new RealtimeSession(agent, { transport: 'websocket', ...options });
    session.on('error', ({ error }) => write({ type: 'failed', text: describe(error) }));
    session.on('audio', ({ data }) => write({ type: 'audio', bytes: data.byteLength }));
    session.on('audio_interrupted', () => write({ type: 'audio_interrupted' }));
    session.on('agent_end', (_context, _agent, text) => write({ type: 'answered', text }));
    session.on('history_updated', (history) => write({ type: 'history', items: history }));
    session.on('transport_event', (event) => write({ type: 'server_event', event }));
    const { transport } = session;
    const sendEvent = transport.sendEvent.bind(transport);
    transport.sendEvent = (event) => {
      write({ type: 'sent', event: event.type === 'input_audio_buffer.append' ? { type: event.type } : event });
      sendEvent(event);
    };
    await session.connect({ url, apiKey });
    write({ type: 'connected' });
  },
  sendMessage({ text }) {
    session.sendMessage(text);
  },
  sendAudio({ path }) {
    const pcm = readFileSync(path);
    for (let start = 0; start < pcm.length; start += CHUNK_BYTES) {
      const chunk = pcm.subarray(start, start + CHUNK_BYTES);
      session.sendAudio(chunk.buffer.slice(chunk.byteOffset, chunk.byteOffset + chunk.byteLength));
    }
  },
  advance({ ms }) {
    now += ms;
  },
  interrupt() {
    session.interrupt();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...given } = JSON.parse(line);
  try {
    await commands[command](given);
  } catch (error) {
    write({ type: 'failed', text: describe(error) });
  }
}
session?.close();
