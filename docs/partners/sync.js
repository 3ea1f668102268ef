// 同步订单：带签名的 GET 与 POST。Synchronise orders: a signed GET and a signed POST.
const { createHash } = require('node:crypto');

const url = `${process.env.BAODAN_URL}/api/gth/syc/order`;
const raw = new URLSearchParams({
  key: process.env.PARTNER_KEY,
  name: process.env.PARTNER_NAME,
  password: process.env.PARTNER_PASSWORD,
  type: '1',
  start: '2024-09-01 00:00:00',
}).toString();
const sign = createHash('md5').update(raw + process.env.PARTNER_SK).digest('hex');

async function main() {
  console.log(await (await fetch(`${url}?${raw}`, { headers: { sign } })).text());
  await new Promise((done) => setTimeout(done, 1100)); // 每个密钥每秒一次 · one request a second per key
  const headers = { sign, 'content-type': 'application/x-www-form-urlencoded' };
  console.log(await (await fetch(url, { method: 'POST', headers, body: raw })).text());
}

main().catch((e) => { console.error(e); process.exitCode = 1; });
