//! `ApiError` on the wire, in the dialect and language of the current request, and actix's own errors in
//! the same form.

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
    web,
};
use contracts::routes::Dialect;
use serde_json::{Map, Value, json};

use super::{
    context::{Language, RequestContext},
    error::ApiError,
};

impl ApiError {
    /// The sentence for people: the message, with the request id when the fault is ours.
    pub fn sentence(&self, language: Language, request_id: &str) -> String {
        let text = self.message().text(language);
        match (self.is_server_error() && !request_id.is_empty(), language) {
            (false, _) => text.to_owned(),
            (true, Language::Zh) => format!("{text}（请求编号 {request_id}）"),
            (true, Language::En) => format!("{text} (request id {request_id})"),
        }
    }

    /// The `code` of the partner entry: 400 wrong parameters, 403 no permission or quota, 500 our fault
    /// (`spec/partner-sync-api.md`, "Answer").
    pub fn partner_code(&self) -> u16 {
        match self.http_status() {
            status if status.is_server_error() => 500,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => 403,
            _ => 400,
        }
    }

    /// The body in `dialect`. On the partner entry `exec_time`, `user_ip` and `ip` are unset: an entry that
    /// knows them builds its own body from [`Self::partner_code`] and [`Self::sentence`].
    pub fn body(&self, dialect: Dialect, language: Language, request_id: &str) -> Value {
        let sentence = self.sentence(language, request_id);
        let mut body = match dialect {
            Dialect::Admin => {
                let fields: Map<String, Value> = self
                    .errors()
                    .iter()
                    .map(|(field, m)| (field.clone(), format!(" {field} {}", m.text(language)).into()))
                    .collect();
                json!({"status": self.status(), "error": sentence, "errors": fields})
            }
            Dialect::Supplier => json!({
                "status": false, "info": sentence, "msg": sentence, "message": sentence, "rows": [], "total": 0,
            }),
            Dialect::Partner => json!({
                "code": self.partner_code(), "msg": sentence, "data": null, "debug": "",
                "exec_time": 0.0, "user_ip": "", "ip": "",
            }),
        };
        if let Some(data) = self.data() {
            body["data"] = data.clone();
        }
        body
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.http_status()
    }

    fn error_response(&self) -> HttpResponse {
        let context = RequestContext::current();
        let dialect = self.dialect().unwrap_or(context.dialect);
        let on_the_wire = match dialect {
            Dialect::Admin => self.http_status(),
            // Their clients read the body alone.
            Dialect::Supplier | Dialect::Partner => StatusCode::OK,
        };
        let mut response = HttpResponse::build(on_the_wire);
        if let Some(seconds) = self.retry_after_seconds() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        response.json(self.body(dialect, context.language, &context.request_id))
    }
}

/// Makes actix's own extractors fail in our form: a path parameter of the wrong form is 404 (`spec/report-admin-api.md`,
/// "Ids in paths"), a query or body 400. Call it in every `App::configure`.
pub fn extractor_config(config: &mut web::ServiceConfig) {
    let unreadable = |e: &dyn std::fmt::Display| {
        let reason = e.to_string();
        ApiError::unreadable_body("请求无法读取", "the request cannot be read").with_source(reason)
    };
    config
        .app_data(web::PathConfig::default().error_handler(|_, _| no_such_page().into()))
        .app_data(web::QueryConfig::default().error_handler(move |e, _| unreadable(&e).into()))
        .app_data(web::FormConfig::default().error_handler(move |e, _| unreadable(&e).into()))
        .app_data(web::JsonConfig::default().error_handler(move |e, _| unreadable(&e).into()));
}

fn no_such_page() -> ApiError {
    ApiError::not_found("资源不存在", "not found")
}

/// For `default_service`: 404/7.
pub async fn not_found_handler() -> Result<HttpResponse, ApiError> {
    Err(no_such_page())
}

/// For a resource's `default_service`: 405/7.
pub async fn method_not_allowed_handler() -> Result<HttpResponse, ApiError> {
    Err(ApiError::method_not_allowed())
}

#[cfg(test)]
mod tests {
    use actix_web::{App, body::to_bytes, test, web};

    use super::*;

    async fn rendered(error: ApiError, context: RequestContext) -> (u16, Value, Option<String>) {
        let response = RequestContext::scope(context, async { error.error_response() }).await;
        let status = response.status().as_u16();
        let retry = response.headers().get("retry-after").map(|v| v.to_str().expect("ascii").to_owned());
        let body = to_bytes(response.into_body()).await.expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"), retry)
    }

    fn context(dialect: Dialect, language: Language) -> RequestContext {
        RequestContext { request_id: "r-1".into(), language, dialect, traceparent: None }
    }

    #[actix_web::test]
    async fn the_admin_form_names_each_field_as_the_contract_shows() {
        let error = || ApiError::invalid("white_list.0.mobile", "不能为空", "is required");
        let (status, body, _) = rendered(error(), context(Dialect::Admin, Language::Zh)).await;
        assert_eq!(status, 400);
        assert_eq!(
            body,
            json!({
                "status": 1,
                "error": "white_list.0.mobile 不能为空",
                "errors": {"white_list.0.mobile": " white_list.0.mobile 不能为空"},
            })
        );
        let (_, body, _) = rendered(error(), context(Dialect::Admin, Language::En)).await;
        assert_eq!(body["error"], "white_list.0.mobile is required");
    }

    #[actix_web::test]
    async fn our_faults_show_the_request_id_and_nothing_internal() {
        for dialect in [Dialect::Admin, Dialect::Supplier, Dialect::Partner] {
            let error = ApiError::internal("password=hunter2 at 10.0.0.3");
            let (_, body, _) = rendered(error, context(dialect, Language::Zh)).await;
            let text = body.to_string();
            assert!(
                text.contains("r-1") && !text.contains("hunter2") && !text.contains("10.0.0.3"),
                "{text}"
            );
        }
    }

    #[actix_web::test]
    async fn the_drop_in_dialects_answer_200_with_their_own_bodies() {
        let quota = || ApiError::too_many_requests(7);
        let (status, body, retry) = rendered(quota(), context(Dialect::Supplier, Language::Zh)).await;
        let m = "请求过于频繁，请在 7 秒后重试";
        assert_eq!((status, retry.as_deref()), (200, Some("7")));
        assert_eq!(body, json!({"status": false, "info": m, "msg": m, "message": m, "rows": [], "total": 0}));
        let (status, body, _) = rendered(quota(), context(Dialect::Partner, Language::Zh)).await;
        assert_eq!((status, &body["code"], &body["msg"]), (200, &json!(403), &json!(m)));
        assert_eq!((&body["data"], &body["debug"]), (&Value::Null, &json!("")));
        let pinned = quota().in_dialect(Dialect::Partner);
        assert_eq!(rendered(pinned, context(Dialect::Admin, Language::Zh)).await.1["code"], 403);
        let wrong = ApiError::invalid("type", "不正确", "is wrong");
        assert_eq!(rendered(wrong, context(Dialect::Partner, Language::Zh)).await.1["code"], 400);
        let ours = ApiError::unavailable("pool");
        assert_eq!(rendered(ours, context(Dialect::Partner, Language::Zh)).await.1["code"], 500);
    }

    #[actix_web::test]
    async fn errors_is_an_empty_object_when_no_field_is_to_blame() {
        let (status, body, _) =
            rendered(ApiError::refused("x", "x"), context(Dialect::Admin, Language::Zh)).await;
        assert_eq!((status, body), (400, json!({"status": 2, "error": "x", "errors": {}})));
    }

    #[actix_web::test]
    async fn facts_for_programs_stand_under_data() {
        for dialect in [Dialect::Admin, Dialect::Supplier, Dialect::Partner] {
            let error = ApiError::refused("x", "x").with_data(json!({"id": 5}));
            assert_eq!(rendered(error, context(dialect, Language::Zh)).await.1["data"], json!({"id": 5}));
        }
    }

    #[actix_web::test]
    async fn unknown_paths_and_ids_that_are_no_numbers_are_404_in_our_form() {
        let app = test::init_service(
            App::new()
                .configure(extractor_config)
                .route("/r/{id}", web::get().to(async |_: web::Path<i64>| HttpResponse::Ok().finish()))
                .default_service(web::to(not_found_handler)),
        )
        .await;
        for path in ["/r/abc", "/r/99999999999999999999", "/nowhere"] {
            let answer = test::call_service(&app, test::TestRequest::get().uri(path).to_request()).await;
            assert_eq!(answer.status().as_u16(), 404, "{path}");
            let body: Value = test::read_body_json(answer).await;
            assert_eq!((&body["status"], &body["errors"]), (&json!(7), &json!({})), "{path}");
        }
    }
}
