use sea_orm::entity::prelude::*;

/// One import of a workbook into the white list of a report.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "white_list_import")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub report_id: i64,
    /// Nickname of the account that uploaded the file.
    pub author: String,
    pub file_name: String,
    /// The file's own header, a JSON list.
    pub header: String,
    /// `running`, `done`, `failed`, `undone`
    pub state: String,
    /// Why it failed, "" otherwise.
    pub reason: String,
    /// Rows of the file.
    pub row_count: i64,
    pub success_count: i64,
    pub repeat_count: i64,
    pub error_count: i64,
    /// The entries it made lie between these ids, with others perhaps; 0 = none yet.
    pub first_id: i64,
    pub last_id: i64,
    /// The report had no entry when this import wrote its first.
    pub into_empty: bool,
    /// Its entries from this id on are not told to others yet; 0 = all are.
    pub untold_from: i64,
    pub created_at: i64,
    /// 0 while running.
    pub finished_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
