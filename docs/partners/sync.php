<?php
// 同步订单：带签名的 GET 与 POST。Synchronise orders: a signed GET and a signed POST.
$url = getenv('BAODAN_URL') . '/api/gth/syc/order';
$raw = http_build_query([
    'key' => getenv('PARTNER_KEY'),
    'name' => getenv('PARTNER_NAME'),
    'password' => getenv('PARTNER_PASSWORD'),
    'type' => 1,
    'start' => '2024-09-01 00:00:00',
]);
$sign = md5($raw . getenv('PARTNER_SK'));

function call(string $url, string $method, string $sign, ?string $body): string
{
    $options = ['method' => $method, 'header' => "sign: $sign\r\n", 'timeout' => 10, 'ignore_errors' => true];
    if ($body !== null) {
        $options['header'] .= "Content-Type: application/x-www-form-urlencoded\r\n";
        $options['content'] = $body;
    }
    $answer = file_get_contents($url, false, stream_context_create(['http' => $options]));
    if ($answer === false) {
        fwrite(STDERR, "no answer from $method\n");
        exit(1);
    }
    return $answer;
}

echo call("$url?$raw", 'GET', $sign, null), "\n";
usleep(1100000); // 每个密钥每秒一次 · one request a second per key
echo call($url, 'POST', $sign, $raw), "\n";
