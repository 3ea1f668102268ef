//! Three services small enough to test the harness with: report tells of a change, order reacts and tells in
//! its turn, sync listens to that.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use actix_web::{HttpRequest, HttpResponse, web};
use contracts::{
    event::{Event, Payload},
    events::{PartnerChanged, ReportChanged},
    routes::ServiceName,
};
use platform::{
    Platform, Service,
    db::{PlatformTables, WriteTx},
    http::{ApiError, caller::Identity},
    inbox::{Consumer, HandleError, Handling, InboxConsumer},
    outbox::Outbox,
    service::Shared,
};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use serde_json::json;
use utoipa::OpenApi;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(PlatformTables)]
    }
}

#[derive(OpenApi)]
struct ApiDoc;

/// How many events the consumers of one test have handled.
pub type Count = Arc<AtomicUsize>;

pub fn report_changed(id: i64) -> ReportChanged {
    let report = json!({
        "id": id, "version": 1, "title": format!("报告 {id}"), "cover": "", "price_fen": 100, "read_count": 1,
        "status": 1, "deleted": false,
    });
    serde_json::from_value(report).unwrap()
}

fn partner_changed(id: i64, name: &str) -> PartnerChanged {
    let partner = json!({
        "id": id, "version": 1, "name": name, "account_id": 0, "enabled": true, "privacy": "masked",
    });
    serde_json::from_value(partner).unwrap()
}

async fn whoami(identity: Identity) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "kind": identity.caller.kind,
        "account_id": identity.caller.account_id,
        "nickname": identity.caller.nickname,
        "partner": identity.partner_scope(),
    }))
}

async fn echo(_: Identity, req: HttpRequest, body: web::Bytes) -> HttpResponse {
    let header = |name: &str| req.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
    HttpResponse::Ok().insert_header(("x-echo", "yes")).json(json!({
        "method": req.method().as_str(),
        "query": req.query_string(),
        "type": header("content-type"),
        "own": header("x-own"),
        "key": header("idempotency-key"),
        "body": String::from_utf8_lossy(&body),
    }))
}

async fn add(
    _: Identity,
    id: web::Path<i64>,
    platform: web::Data<Platform>,
) -> Result<HttpResponse, ApiError> {
    let tx = platform.db.write_tx().await?;
    platform.outbox.append(&tx, id.to_string(), &report_changed(*id)).await?;
    tx.commit().await?;
    Ok(HttpResponse::Ok().finish())
}

/// Tells of reports, and of who asks.
pub async fn report(shared: &Shared) -> Service {
    let platform = Platform::start::<Migrator>(shared, ServiceName::Report).await.unwrap();
    let data = web::Data::new(platform.clone());
    Service::new(
        &platform,
        ApiDoc::openapi(),
        move |cfg| {
            cfg.app_data(data.clone())
                .route("/api/whoami", web::get().to(whoami))
                .route("/api/echo", web::route().to(echo))
                .route("/api/report/{id}", web::post().to(add));
        },
        vec![],
        vec![],
    )
}

struct Reports {
    outbox: Outbox,
    handled: Count,
}

impl Consumer for Reports {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(async move {
            for event in events {
                let report: ReportChanged = event.read()?;
                if report.id < 0 {
                    return Err(HandleError::Rejected("no report has a negative id".into()));
                }
                let partner = partner_changed(report.id, &report.title);
                self.outbox.append(tx, partner.id.to_string(), &partner).await?;
            }
            self.handled.fetch_add(events.len(), Ordering::SeqCst);
            Ok(())
        })
    }
}

/// Reacts to `report.changed` with `partner.changed`; refuses reports with a negative id.
pub async fn order(shared: &Shared, handled: &Count) -> Service {
    let platform = Platform::start::<Migrator>(shared, ServiceName::Order).await.unwrap();
    let handler = Reports { outbox: platform.outbox.clone(), handled: Arc::clone(handled) };
    let consumer = InboxConsumer::new("order.reports", platform.db.clone(), platform.clock.clone(), handler);
    assert!(consumer.types().contains(&ReportChanged::TYPE));
    Service::new(&platform, ApiDoc::openapi(), |_| {}, vec![consumer], vec![])
}

struct Partners {
    handled: Count,
}

impl Consumer for Partners {
    fn handle<'a>(&'a self, _: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(async move {
            self.handled.fetch_add(events.len(), Ordering::SeqCst);
            Ok(())
        })
    }
}

/// Counts `partner.changed`.
pub async fn sync(shared: &Shared, handled: &Count) -> Service {
    let platform = Platform::start::<Migrator>(shared, ServiceName::Sync).await.unwrap();
    let handler = Partners { handled: Arc::clone(handled) };
    let consumer = InboxConsumer::new("sync.partners", platform.db.clone(), platform.clock.clone(), handler);
    Service::new(&platform, ApiDoc::openapi(), |_| {}, vec![consumer], vec![])
}
