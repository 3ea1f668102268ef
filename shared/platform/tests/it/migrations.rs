use contracts::routes::ServiceName;
use platform::{Platform, db::PlatformTables, service::StartError};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use testing::TestBed;

use crate::bench_table::Migrator;

/// The version before: it lacks the newest migration.
struct Older;

impl MigratorTrait for Older {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(PlatformTables)]
    }
}

#[tokio::test]
async fn an_older_replica_starts_on_a_database_that_a_newer_one_has_migrated() {
    let bed = TestBed::new().await;
    Platform::start::<Migrator>(&bed.shared, ServiceName::Order).await.unwrap();

    Platform::start::<Older>(&bed.shared, ServiceName::Order).await.expect("with auto_migrate");

    let mut shared = bed.shared.clone();
    let mut settings = (*shared.settings).clone();
    settings.database.auto_migrate = false;
    shared.settings = settings.into();
    Platform::start::<Older>(&shared, ServiceName::Order).await.expect("without auto_migrate");
    bed.finish().await;
}

#[tokio::test]
async fn a_newer_replica_refuses_to_start_before_its_migrations_are_applied() {
    let bed = TestBed::new().await;
    Platform::start::<Older>(&bed.shared, ServiceName::Order).await.unwrap();

    let mut shared = bed.shared.clone();
    let mut settings = (*shared.settings).clone();
    settings.database.auto_migrate = false;
    shared.settings = settings.into();
    let refused = Platform::start::<Migrator>(&shared, ServiceName::Order).await;

    assert!(
        matches!(&refused, Err(StartError::PendingMigrations { names, .. }) if names == "m20261121_000001_seen"),
        "{:?}",
        refused.err()
    );
    bed.finish().await;
}
