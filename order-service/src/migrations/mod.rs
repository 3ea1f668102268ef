//! The service's tables. Indices are made for the queries that run all day; each says which.

mod m20261121_000001_orders;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(platform::db::PlatformTables), Box::new(m20261121_000001_orders::Migration)]
    }
}
