//! The tables of auth-service. Times are unix milliseconds and 0 = unset, but for what stands in tokens
//! (`tokens_valid_from`, `last_token_iat`, `exp`), which is in unix seconds.

use sea_orm::DbErr;
use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait::async_trait,
};

/// All migrations, oldest first.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(platform::db::PlatformTables), Box::new(Tables)]
    }
}

struct Tables;

impl MigrationName for Tables {
    fn name(&self) -> &str {
        "m20261121_000001_auth_tables"
    }
}

#[async_trait]
impl MigrationTrait for Tables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        platform::db::script(manager, include_str!("tables.sql")).await
    }
}
