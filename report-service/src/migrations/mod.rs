//! The schema of report-service.

use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager,
    async_trait::async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr},
};

/// All migrations of this service, the platform's own tables first.
pub struct Migrator;

#[async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(platform::db::PlatformTables), Box::new(Tables)]
    }
}

struct Tables;

impl MigrationName for Tables {
    fn name(&self) -> &str {
        "m20261121_000001_report_tables"
    }
}

#[async_trait]
impl MigrationTrait for Tables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        platform::db::script(manager, include_str!("tables.sql")).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            // Batches live for seconds: compressing them is wasted.
            let sql = "ALTER TABLE white_list_import_batch ALTER COLUMN body SET STORAGE EXTERNAL";
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }
}
