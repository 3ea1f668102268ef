"""同步订单：带签名的 GET 与 POST。Synchronise orders: a signed GET and a signed POST."""
import hashlib
import os
import time
import urllib.parse
import urllib.request

url = os.environ["BAODAN_URL"] + "/api/gth/syc/order"
raw = urllib.parse.urlencode({
    "key": os.environ["PARTNER_KEY"],
    "name": os.environ["PARTNER_NAME"],
    "password": os.environ["PARTNER_PASSWORD"],
    "type": 1,
    "start": "2024-09-01 00:00:00",
})
sign = hashlib.md5((raw + os.environ["PARTNER_SK"]).encode()).hexdigest()

get = urllib.request.Request(f"{url}?{raw}", headers={"sign": sign})
print(urllib.request.urlopen(get, timeout=10).read().decode())
time.sleep(1.1)  # 每个密钥每秒一次 · one request a second per key
post = urllib.request.Request(url, data=raw.encode(), headers={"sign": sign})
print(urllib.request.urlopen(post, timeout=10).read().decode())
