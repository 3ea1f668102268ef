//! Every example of the seed as a request, its typos included, in the order a user would send them; each answer has
//! the keys and types of the seed's own answer.

use serde_json::{Value, json};
use testing::wait_until;

use super::{Operator, multipart, shape::assert_like, token, upload};
use crate::system::System;

/// `--data-raw` of "新增图文报告": the mobiles stand under `given_position`.
const ADD: &str = r#"{"title":"测试数据1","cover":"15421639996676.jpeg","type_id":1,"intro":"简介","directory":"目录介绍","file":{"file_name":"test","src":"static/test.pdf","format":"pdf","size":1000},"price":100,"read_count":300,"status":1,"publish_time":"2022-06-22 08:00:00","white_list":[{"given_user":"朱思嘉","given_position":"18434910083","given_company":"爱集微","read_count":100},{"given_user":"史蒂夫","given_position":"18434910085","given_company":"爱集微","read_count":100}]}"#;
/// "Request Parameters Body" of the same: one mobile twice.
const ADD_BODY: &str = r#"{"title": "测试数据1", "cover": "15421639996676.jpeg", "type_id": 1, "intro": "简介", "directory": "目录介绍", "file": {"file_name":"test", "src":"static/test.pdf", "format":"pdf", "size":1000}, "price":100, "read_count":300, "status":1, "publish_time":"2022-06-22 08:00:00", "short_intro": "购买须知", "white_list": [{"given_user":"朱思嘉", "given_position":"php", "given_company":"爱集微", "mobile":"18434819900", "read_count":100, "state":0}, {"given_user":"史蒂夫", "given_position":"php", "given_company":"爱集微", "mobile":"18434819900", "read_count":100, "state":0}]}"#;
/// The same as a form with nested names.
const ADD_FORM: &str = "title=测试数据1&cover=15421639996676.jpeg&type_id=1&intro=简介&directory=目录介绍&file[file_name]=test&file[src]=static/test.pdf&file[format]=pdf&file[size]=1000&price=100&read_count=300&status=1&publish_time=2022-06-22 08:00:00&white_list[0][mobile]=18434819900&white_list[0][read_count]=100";
const MODIFY: &str = r#"{"price":100,"read_count":300,"status":1,"publish_time":"2022-06-22 08:00:00","white_list":[{"given_user":"朱思嘉","given_position":"php","given_company":"爱集微","residue_count":100,"state":0},{"given_user":"史蒂夫","given_position":"php","given_company":"爱集微","residue_count":100,"state":0}]}"#;
const MODIFY_BODY: &str = r#"{"price":100,"read_count":300,"status":1,"publish_time":"2022-06-22 08:00:00","short_intro":"购买须知"}"#;
const WHITE_ADD: &str = r#"{"given_user":"朱思嘉","given_position":"php","given_company":"爱集微","read_count":100,"mobile":"18434819907"}"#;
const WHITE_EDIT: &str = r#"{"given_user":"朱思嘉","given_position":"php","given_company":"爱集微","residue_count":100,"state":0}"#;

fn dated_id() -> Value {
    json!({"status": 0, "date": {"id": 1}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seeds_examples_work_as_they_stand() {
    let mut system = System::start().await;
    let operator = Operator::sign_in(&system).await;
    signing_in(&operator).await;
    let report = reports(&operator).await;
    white_list(&operator, report).await;
    workbooks(&operator, report).await;
    files(&operator).await;
    orders(&operator, report).await;
    let gone = operator.request("DELETE", &format!("/api/report/{report}")).send().await;
    operator.check("PAYMENT_REPORT_DELETE", &dated_id(), &gone.expect_status(200).json());
    operator.checked_all();
    system.stop().await;
}

/// The seed's password is nobody's here: there is no default password. The account's name works as any other.
async fn signing_in(operator: &Operator) {
    let seeds = r#"{"account":"13333891144","password":"123456"}"#.to_owned();
    let request = operator.client.post("/api/access/token").body("application/json", seeds);
    let refused = request.send().await.expect_status(401).json();
    assert_like(&json!({"status": 6, "error": "", "errors": {}}), &refused);
    let account =
        json!({"account": "13333891144", "nickname": "zhusj", "password": "Zhu-si-jia-1333", "role_ids": []});
    operator.json("POST", "/api/account", &account.to_string()).await;
    token(&operator.client, "13333891144", "Zhu-si-jia-1333").await;
    let body = json!({"account": "13333891144", "password": "Zhu-si-jia-1333"});
    let answer = operator.client.post("/api/access/token").json(&body).send().await.expect_status(200).json();
    let example = json!({"status": 0, "data": {
        "token": "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiIsImtpZCI6ImFjcC1hcGkifQ", "token_method": "HS256",
        "token_type": "Bearer", "expire_time": 1656064893, "nickname": "zhusj",
    }});
    operator.check("GET_BEARER_TOKEN", &example, &answer);
    let data = &answer["data"];
    assert_eq!(
        (&data["token_method"], &data["token_type"], &data["nickname"]),
        (&json!("HS256"), &json!("Bearer"), &json!("zhusj"))
    );
    let missing =
        operator.client.post("/api/access/token").json(&json!({})).send().await.expect_status(400).json();
    let example =
        json!({"status": 1, "errors": {"account": " account 不能为空", "password": " password 不能为空"}});
    assert_eq!((&missing["status"], &missing["errors"]), (&example["status"], &example["errors"]));
}

async fn reports(operator: &Operator) -> i64 {
    let added = operator.json("POST", "/api/report", ADD).await;
    operator.check("PAYMENT_REPORT_ADD", &dated_id(), &added);
    let report = added["date"]["id"].as_i64().unwrap();
    operator.check("PAYMENT_REPORT_ADD", &dated_id(), &operator.json("POST", "/api/report", ADD_BODY).await);
    let form = operator.request("POST", "/api/report").form(ADD_FORM).send().await;
    operator.check("PAYMENT_REPORT_ADD", &dated_id(), &form.expect_status(200).json());

    // curl sends the title as it was typed: plain UTF-8.
    let list =
        operator.curl("GET", "/api/report?title=测试&start_ctime=2022-06-16&end_ctime=2022-06-22").await;
    let example = json!({"status": 0, "data": {"current_page": 1, "last_page": 1, "per_page": 20, "total": 1, "data": [{
        "id": 1, "cover": "http://static.ijiwei.com/20210108%3Aeep-h5-title.png", "title": "2022全球半导体产业集微分析报告",
        "price": 100, "status": 2, "subscribe_count": 0, "publish_at": "2022-06-30 08:00:00", "type_name": "",
    }]}});
    operator.check("PAYMENT_REPORT_LIST", &example, &list);
    assert_eq!(list["data"]["total"], 3);

    let path = format!("/api/report/{report}");
    operator.check("PAYMENT_REPORT_MODIFY", &dated_id(), &operator.json("PUT", &path, MODIFY).await);
    operator.check("PAYMENT_REPORT_MODIFY", &dated_id(), &operator.json("PUT", &path, MODIFY_BODY).await);
    let detail = operator.get(&path).await.expect_status(200).json();
    let example = json!({"status": 0, "data": {
        "id": 1, "title": "测试数据1", "cover": "http://s.laoyaoba.com/15421639996676.jpeg", "type_id": 1, "intro": "简介",
        "directory": "目录介绍", "file_address": "http://s.laoyaoba.com/15421639996676.pdf", "price": 100, "read_count": 300,
        "status": 1, "publish_time": "2022-06-22 08:00:00", "short_intro": "购买须知",
    }});
    operator.check("PAYMENT_REPORT_INFO", &example, &detail);
    for key in [
        "title",
        "type_id",
        "intro",
        "directory",
        "price",
        "read_count",
        "status",
        "publish_time",
        "short_intro",
    ] {
        assert_eq!(detail["data"][key], example["data"][key], "{key}");
    }
    report
}

async fn white_list(operator: &Operator, report: i64) {
    let path = format!("/api/report/{report}/white");
    let added = operator.json("POST", &path, WHITE_ADD).await;
    operator.check("REPORT_WHITE_ADD", &dated_id(), &added);
    // No row of the modification had an id or a mobile: the two rows of the addition, and this one.
    let list = operator.get(&format!("{path}?search=爱集微")).await.expect_status(200).json();
    let row = json!({
        "id": 1, "given_user": "朱思嘉", "given_position": "php", "given_company": "爱集微", "mobile": "18343819907",
        "read_count": 200, "residue_count": 100, "last_modify_author": "朱思嘉", "updated_at": "2020-07-23 9:00:00", "state": 0,
    });
    let example = json!({"status": 0, "date": {"current_page": 1, "last_page": 1, "per_page": 20, "total": 1, "data": [row]}});
    operator.check("REPORT_WHITE_LIST", &example, &list);
    let mobiles: Vec<_> = list["date"]["data"].as_array().unwrap().iter().map(|r| &r["mobile"]).collect();
    assert_eq!(mobiles, ["18434910083", "18434910085", "18434819907"]);
    let none = operator.get(&format!("{path}?search=test")).await.expect_status(200).json();
    assert_eq!(none["date"]["total"], 0);

    let entry = format!("{path}/{}", added["date"]["id"]);
    operator.check("REPORT_WHITE_EDIT", &dated_id(), &operator.json("PUT", &entry, WHITE_EDIT).await);
    // The seed's command says `--request Get`.
    let detail = operator.curl("Get", &entry).await;
    let example = json!({"status": 0, "data": {
        "id": 1, "given_user": "朱思嘉", "given_position": "php", "given_company": "爱集微", "mobile": "18434819907",
        "read_count": 0, "residue_count": 0, "state": 0,
    }});
    operator.check("REPORT_WHITE_INFO", &example, &detail);

    let customers = operator.get(&format!("/api/report/{report}/customer")).await.expect_status(200).json();
    let row = json!({
        "user_id": 231232, "nick_name": "王强", "avatar": "http://s.laoyaoba.com/jwImg/img/1231287u8123.jpg",
        "mobile": "133422898123", "occurred_count": 50, "residue_count": 100, "last_payment_at": 1323892332,
        "last_login_at": 12312321908_i64, "last_review_at": 12312321908_i64, "regist_at": 1323892332,
    });
    let example = json!({"status": 0, "date": {"current_page": 1, "last_page": 1, "per_page": 20, "total": 1, "data": [row]}});
    operator.check("GET_REPORT_CUSTOMER", &example, &customers);
}

async fn workbooks(operator: &Operator, report: i64) {
    let counts = json!({"status": 0, "date": {"total": 100, "success": 50, "repeat": 50, "error": 0}});
    let path = format!("/api/report/{report}/excel");
    let template = operator.get("/api/white/example").await;
    operator.check_file("WHITE_LIST_EXAMPLE", &template);
    let answer = upload(operator, &path, "./示例表.xlsx", template.bytes()).await;
    operator.check("REPORT_WHITE_IMPORT", &counts, &answer);
    let rows = "昵称,职位,公司,电话,阅读次数\n朱思嘉1,php1,爱集微1,1,100\n朱思嘉2,php2,爱集微2,2,101\n重复,,,1,1\n坏,,,x,1\n";
    let answer = upload(operator, &path, "示例表.csv", rows.as_bytes()).await;
    operator.check("REPORT_WHITE_IMPORT", &counts, &answer);
    let date = &answer["date"];
    assert_eq!(
        [&date["total"], &date["success"], &date["repeat"], &date["error"]].map(|n| n.as_i64().unwrap()),
        [4, 2, 1, 1]
    );

    for ids in ["id=[100,101,102]", "id=100,101", "id[]=100&id[]=101", ""] {
        operator.check_file("REPORT_WHITE_EXPORT", &operator.get(&format!("{path}?{ids}")).await);
    }
    let convert = "/Users/zhusijia/Downloads/公司-record/抽奖人员示例表.csv";
    let answer = upload(operator, "/api/white/example", convert, rows.as_bytes()).await;
    let row = json!({"given_user": "朱思嘉1", "given_position": "php1", "given_company": "爱集微1", "mobile": "1", "read_count": "100"});
    operator.check("WHITE_EXPORT_CONVERT", &json!({"status": 0, "data": [row]}), &answer);
}

async fn files(operator: &Operator) {
    let example =
        json!({"status": 0, "qiniu_token": "99vFAJy1wVeXiJdSV2BB:EB38gPLhyCYExdrLZyC7q3mc25k=:eyJzY29wZSI"});
    for path in ["/api/qiniu/token", "/api/qiniu/token?type=default", "/api/qiniu/token?type=private"] {
        let answer = operator.get(path).await.expect_status(200).json();
        operator.check("GET_QINIU_TOKEN", &example, &answer);
        assert_eq!(answer["qiniu_token"].as_str().unwrap().split(':').count(), 3);
    }
    let token = operator.get("/api/qiniu/token").await.json()["qiniu_token"].as_str().unwrap().to_owned();
    let (kind, body) =
        multipart(&[("token", &token), ("key", "static/test.pdf")], "test.pdf", b"%PDF-1.7 report");
    operator.client.post("/storage/upload").body(kind, body).send().await.expect_status(200);
    let copied = json!({"status": 0, "data": {"message": "File copied successfully"}});
    for method in ["GET", "POST"] {
        let answer = operator.request(method, "/api/qiniu/copyfile").send().await.expect_status(200).json();
        operator.check("QINIU_COPY_FILE", &copied, &answer);
        assert_eq!(answer, copied);
    }

    let answer = operator.get("/api/report/downloadurl?report_name=test.pdf").await.expect_status(200).json();
    let example = json!({"status": 0, "data": "https://privte.laoyaoba.com/uploads/x.pdf?e=1686924541&token=99vF:kM-pmz7"});
    operator.check("GET_REPORT_DOWNLOADURL", &example, &answer);
    let url = answer["data"].as_str().unwrap();
    let path = &url[url.find("/storage/").unwrap()..];
    assert_eq!(&operator.client.get(path).send().await.expect_status(200).bytes()[..], b"%PDF-1.7 report");
    let unknown = "/api/report/downloadurl?report_name=02_SHELL编程之变量定义.pdf";
    assert_eq!(operator.get(unknown).await.expect_status(404).json()["status"], 7);
}

/// The seed's order, as the contract's examples show it.
fn order_example() -> Value {
    json!({
        "id": 1, "number": "423132323232372212", "order_title": "概念股投资报告第1期", "total": "300000", "size": 1, "state": 3,
        "checkout_at": 1323892332, "expire_at": 1323910332, "paid_at": 1982719021, "fulfilled_at": 1982719021,
        "trade_info": {"third_trade_num": "", "third_trade_identity": "", "payment_source": 1, "payment_channel": 2},
        "order_item": {"id": 2, "title": "2022全球半导体产业集微分析报告(修订版)", "cover": "http://s.laoyaoba.com/c.jpg", "price": "600000"},
        "customer_info": {"id": 22342342, "nick_name": "李刚", "avatar": "http://s.laoyaoba.com/a.jpg", "mobile": "133422892109"},
        "order_item_usage": {"quantity_count": 100, "available_count": 0, "expend_status": 0},
    })
}

async fn orders(operator: &Operator, report: i64) {
    let path = format!("/api/goods?report_id={report}");
    let goods = wait_until("the report's goods", async || {
        operator.get(&path).await.json().pointer("/data/data/0/id").cloned()
    })
    .await;
    let body = json!({"customer": {"mobile": "133422892109", "nick_name": "李刚"}, "goods_id": goods, "payment_source": 1});
    let placed = operator.json("POST", "/api/order", &body.to_string()).await["data"].clone();
    let number = placed["number"].as_str().unwrap();
    let paid =
        json!({"amount": placed["total"], "payment_channel": 2, "third_trade_num": "123870sacsa0cxawdawd"});
    operator.json("POST", &format!("/api/order/{number}/pay"), &paid.to_string()).await;

    let shown = operator.get(&format!("/api/order/{number}")).await.expect_status(200).json();
    let mut order = order_example();
    order["invoice_info"] = json!({
        "state": 0, "status": 0, "create_time": 1655706447, "is_vat": 0, "invoice_title": "爱集微咨询(厦门)有限公司",
        "invoice_amount": 0.01, "invoice_tax_num": "91350200MA2YC2UA52", "vat_name": "小小", "vat_mail_address": "954398065@qq.com",
        "vat_company_name": "小小", "vat_company_address": "", "vat_company_mobile": "", "vat_telphone": "13810875748",
        "vat_bank_name": "", "vat_bank_accoun": "", "invoice_option": 2,
    });
    operator.check(
        "Payment_Order_Info",
        &json!({"status": 0, "current_page": 1, "last_page": 1, "total": 1, "date": order}),
        &shown,
    );
    let customer = shown["date"]["customer_info"]["id"].clone();
    lists(operator, &customer).await;
}

async fn lists(operator: &Operator, customer: &Value) {
    let page = json!({"status": 0, "current_page": 1, "last_page": 1, "total": 1, "date": [order_example()]});
    // The seed joins `state=1` by a second question mark: of `start_date` its first ten characters count.
    let list = operator.get("/api/order?limit=15&page=1&start_date=2022-03-06?state=1").await;
    operator.check("Payment_Order_List", &page, &list.expect_status(200).json());
    let of_customer = operator.get(&format!("/api/customer/{customer}/order?limit=15&page=1")).await;
    operator.check("Payment_Customer_Info", &page, &of_customer.expect_status(200).json());
    let row = json!({
        "user_id": 231232, "nick_name": "王强", "avatar": "", "mobile": "133422898123", "payment_time": 3, "payment_count": 3,
        "payment_total": "1200000", "last_payment_at": 1323892332, "last_login_at": 12312321908_i64,
        "last_review_at": 12312321908_i64, "regist_at": 1323892332,
    });
    let customers = wait_until("the customer's subscription", async || {
        let answer = operator.get("/api/customer?start_date=2022-06-16").await.expect_status(200).json();
        (answer["date"] != json!([])).then_some(answer)
    })
    .await;
    operator.check("Payment_Customer_List", &json!({"status": 0, "date": [row]}), &customers);
    let window = operator.get("/api/customer?start_date=2022-06-16&end_date=2022-06-22").await;
    assert_eq!(window.expect_status(200).json(), json!({"status": 0, "date": []}));
    let total = operator.get(&format!("/api/customer/{customer}")).await.expect_status(200).json();
    let example = json!({"status": 0, "data": {
        "user_id": 5181743, "nick_name": "N_183****6948", "mobile": "18334786948", "payment_count": 12, "payment_total": 40206,
        "last_payment_at": 1656749462, "last_login_at": 1627623392, "last_review_at": 0, "regist_at": 1627639454,
    }});
    operator.check("Payment_Customer_Total", &example, &total);
}
