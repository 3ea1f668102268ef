// 同步订单：带签名的 GET 与 POST。Synchronise orders: a signed GET and a signed POST.
package main

import (
	"crypto/md5"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

func call(request *http.Request, sign string) {
	request.Header.Set("sign", sign)
	client := &http.Client{Timeout: 10 * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
}

func main() {
	address := os.Getenv("BAODAN_URL") + "/api/gth/syc/order"
	raw := url.Values{
		"key":      {os.Getenv("PARTNER_KEY")},
		"name":     {os.Getenv("PARTNER_NAME")},
		"password": {os.Getenv("PARTNER_PASSWORD")},
		"type":     {"1"},
		"start":    {"2024-09-01 00:00:00"},
	}.Encode()
	sign := fmt.Sprintf("%x", md5.Sum([]byte(raw+os.Getenv("PARTNER_SK"))))

	get, err := http.NewRequest("GET", address+"?"+raw, nil)
	if err != nil {
		log.Fatal(err)
	}
	call(get, sign)
	time.Sleep(1100 * time.Millisecond) // 每个密钥每秒一次 · one request a second per key
	post, err := http.NewRequest("POST", address, strings.NewReader(raw))
	if err != nil {
		log.Fatal(err)
	}
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	call(post, sign)
}
