#!/usr/bin/env bash
# 同步订单：带签名的 GET 与 POST。Synchronise orders: a signed GET and a signed POST.
set -euo pipefail
url="$BAODAN_URL/api/gth/syc/order"
encode() { python3 -c 'import sys, urllib.parse; print(urllib.parse.quote_plus(sys.argv[1]), end="")' "$1"; }
raw="key=$(encode "$PARTNER_KEY")&name=$(encode "$PARTNER_NAME")&password=$(encode "$PARTNER_PASSWORD")&type=1&start=2024-09-01+00%3A00%3A00"
sign=$(printf '%s%s' "$raw" "$PARTNER_SK" | md5sum | cut -d' ' -f1)
curl -sS -H "sign: $sign" -H 'Content-Type: application/x-www-form-urlencoded;charset:utf-8;' "$url?$raw"
echo
sleep 1.1 # 每个密钥每秒一次 · one request a second per key
curl -sS -H "sign: $sign" --data-raw "$raw" "$url"
echo
