use platform::bus::{Bus, RabbitBus};
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use testing::{forget_system, system_environment};

#[tokio::test]
async fn a_system_of_processes_has_its_own_places_and_leaves_nothing_behind() {
    let (one, other) = (system_environment(), system_environment());
    let prefix = one["BAODAN_BUS__PREFIX"].clone();
    assert_ne!(prefix, other["BAODAN_BUS__PREFIX"]);
    assert_eq!(
        (&one["BAODAN_REDIS__PREFIX"], one["BAODAN_DATABASE__SCHEMA"].as_str()),
        (&prefix, &*format!("{prefix}_{{service}}"))
    );
    let conn = Database::connect(&one["BAODAN_DATABASE__URL"]).await.unwrap();
    conn.execute_unprepared(&format!("CREATE SCHEMA {prefix}_order")).await.unwrap();
    let bus = RabbitBus::new(one["BAODAN_BUS__URL"].clone().into(), &prefix);
    Bus::Rabbit(bus).ping().await.unwrap();
    forget_system(&prefix);
    forget_system(&other["BAODAN_BUS__PREFIX"]);
    let sql = "SELECT 1 AS one FROM pg_namespace WHERE starts_with(nspname, $1) UNION SELECT 1 FROM public.bed WHERE id = $1";
    let left = Statement::from_sql_and_values(DbBackend::Postgres, sql, [prefix.into()]);
    assert!(conn.query_one_raw(left).await.unwrap().is_none());
}
