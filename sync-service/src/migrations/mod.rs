//! The tables of this service.

mod m20261121_000001_sync;

use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait::async_trait};

pub struct Migrator;

#[async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(platform::db::PlatformTables), Box::new(m20261121_000001_sync::Migration)]
    }
}
