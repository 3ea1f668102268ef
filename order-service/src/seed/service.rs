use std::sync::Arc;

use contracts::routes::ServiceName;
use futures_util::{StreamExt, TryStreamExt, stream};
use platform::{
    Platform,
    db::partitions,
    ids,
    lifecycle::spawn,
    service::{Shared, StartError},
};
use sea_orm::DbErr;

use super::{
    rules::{self, Cast, MAX_CUSTOMERS, MAX_ORDERS, Plan, Story},
    store,
};
use crate::{
    entities::{MONTHLY, customer, goods, orders},
    intake::{self, Birth, PlaceError},
    lifecycle::{Lifecycle, Told, rules::Refusal, tell},
    migrations::Migrator,
    numbers::Numbers,
};

/// Orders of one transaction.
const CHUNK: u64 = 10_000;
/// With events, which go one JSON list a statement.
const CHUNK_WITH_EVENTS: u64 = 500;
/// Transactions under way at once on PostgreSQL.
const PARALLEL: usize = 3;
const MAX_DAYS: u32 = 3660;

/// Why nothing, or not all, was made.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the generator does not keep to the tables: {0}")]
    Story(String),
    #[error("the database: {0}")]
    Db(#[from] DbErr),
}

/// What was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seeded {
    pub orders: u64,
    pub history: u64,
    pub customers: u64,
}

/// Everything a chunk is made from.
struct Stage {
    platform: Platform,
    lifecycle: Lifecycle,
    numbers: Numbers,
    plan: Plan,
    goods: Vec<goods::Model>,
    customers: Vec<customer::Model>,
    cast: Cast,
    from_ms: i64,
    to_ms: i64,
    now: i64,
}

/// Makes the orders of `plan` in order-service's database; `progress` hears how many stand there.
///
/// # Errors
/// A database that holds orders or looks like production, without `yes`; figures that cannot be.
pub async fn run(shared: &Shared, plan: &Plan, mut progress: impl FnMut(u64)) -> Result<Seeded, SeedError> {
    check(plan)?;
    let platform = Platform::start::<Migrator>(shared, ServiceName::Order).await?;
    let oldest = store::oldest_order(&platform.db).await?;
    allowed(&shared.settings.environment, oldest, plan)?;
    let now = platform.clock.now_ms();
    let to_ms = oldest.map_or(now, |id| ids::made_at_ms(id).min(now));
    let from_ms = to_ms - i64::from(plan.days) * rules::DAY_MS;
    fits(plan, from_ms, to_ms)?;
    partitions::ensure(&platform.db, &MONTHLY, from_ms, to_ms).await?;
    let goods = goods_of(&platform, plan).await?;
    let before = store::customers(&platform.db, plan.customers).await?.len() as u64;
    let customers = customers_of(&platform, plan.customers, before).await?;
    let stage = Stage {
        lifecycle: Lifecycle::new(platform.outbox.clone(), platform.clock.clone()),
        numbers: Numbers::new(
            shared.settings.keys.internal.as_ref().ok_or_else(|| refused("keys.internal is missing"))?,
        ),
        plan: plan.clone(),
        cast: Cast::new(),
        goods,
        customers,
        from_ms,
        to_ms,
        now,
        platform,
    };
    let stage = Arc::new(stage);
    let mut seeded = Seeded { customers: plan.customers - before, ..Seeded::default() };
    let size = if plan.events { CHUNK_WITH_EVENTS } else { CHUNK };
    let parallel = if stage.platform.db.is_postgres() { PARALLEL } else { 1 };
    let chunks = (0..plan.orders.div_ceil(size)).map(|c| {
        let stage = Arc::clone(&stage);
        async move {
            spawn(async move { stage.chunk(c * size, size).await })
                .await
                .map_err(|e| SeedError::Story(e.to_string()))?
        }
    });
    let mut chunks = stream::iter(chunks).buffer_unordered(parallel);
    while let Some((orders, history)) = chunks.try_next().await? {
        seeded.orders += orders;
        seeded.history += history;
        progress(seeded.orders);
    }
    store::analyze(&stage.platform.db).await?;
    Ok(seeded)
}

fn refused(text: impl Into<String>) -> SeedError {
    SeedError::Refused(text.into())
}

fn check(plan: &Plan) -> Result<(), SeedError> {
    let most = [
        ("--orders", plan.orders, MAX_ORDERS),
        ("--customers", plan.customers, MAX_CUSTOMERS),
        ("--days", plan.days.into(), MAX_DAYS.into()),
    ];
    match most.into_iter().find(|(_, value, most)| *value < 1 || value > most) {
        Some((name, value, most)) => Err(refused(format!("{name} must be 1 to {most}; it is {value}"))),
        None => Ok(()),
    }
}

/// Orders of customers are not to be mixed with made-up ones by a slip.
fn allowed(environment: &str, oldest: Option<i64>, plan: &Plan) -> Result<(), SeedError> {
    if plan.yes {
        return Ok(());
    }
    if oldest.is_some() {
        return Err(refused(
            "数据库中已有订单，加上 --yes 才会写入测试数据 · the database holds orders already; --yes adds made-up ones to them",
        ));
    }
    if environment.to_ascii_lowercase().contains("prod") {
        return Err(refused(format!(
            "环境名为 {environment}，加上 --yes 才会写入测试数据 · the environment is called {environment}; --yes puts made-up orders into it"
        )));
    }
    Ok(())
}

fn fits(plan: &Plan, from_ms: i64, to_ms: i64) -> Result<(), SeedError> {
    if ids::floor_at(from_ms) == 0 {
        return Err(refused("--days reaches back beyond 2024-01-01, where ids begin; name fewer"));
    }
    if i64::try_from(plan.orders).unwrap_or(i64::MAX) > to_ms - from_ms {
        return Err(refused("more than one order a millisecond; name more --days"));
    }
    Ok(())
}

async fn goods_of(platform: &Platform, plan: &Plan) -> Result<Vec<goods::Model>, SeedError> {
    let found = store::goods(&platform.db, &plan.goods).await?;
    if found.len() < plan.goods.len() {
        return Err(refused("--goods names goods that do not exist"));
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let partners = if plan.partners.is_empty() { &[0][..] } else { &plan.partners };
    let tx = platform.db.write_tx().await?;
    for partner in partners {
        for name in ["测试点赞", "测试播放", "测试关注"] {
            store::make_goods(&tx, name, *partner, platform.clock.now_ms()).await?;
        }
    }
    tx.commit().await?;
    Ok(store::goods(&platform.db, &[]).await?)
}

/// `wanted` customers; those that are missing are made.
async fn customers_of(
    platform: &Platform,
    wanted: u64,
    there: u64,
) -> Result<Vec<customer::Model>, SeedError> {
    let last =
        store::last_mobile(&platform.db).await?.and_then(|m| m.parse::<u64>().ok()).unwrap_or(19_900_000_000);
    let now = platform.clock.now_ms();
    let made: Vec<customer::Model> = (1..=wanted.saturating_sub(there))
        .map(|n| customer::Model {
            id: platform.ids.next(),
            mobile: (last + n).to_string(),
            nick_name: format!("测试客户 {}", last + n - 19_900_000_000),
            avatar: String::new(),
            regist_at: now,
            last_login_at: 0,
            last_review_at: 0,
            version: 1,
            created_at: now,
        })
        .collect();
    let tx = platform.db.write_tx().await?;
    store::insert_customers(&tx, &made).await?;
    tx.commit().await?;
    Ok(store::customers(&platform.db, wanted).await?)
}

impl Stage {
    /// Orders `first` to `first + size`; answers how many, and how many history rows.
    async fn chunk(&self, first: u64, size: u64) -> Result<(u64, u64), SeedError> {
        let db = &self.platform.db;
        let all = first..(first + size).min(self.plan.orders);
        let services = all.clone().filter(|i| self.goods(*i).kind == goods::SERVICE).count();
        let mut numbers = store::service_numbers(db, services).await?.into_iter();
        let told = all.map(|i| self.tell(i, &mut numbers)).collect::<Result<Vec<Told>, SeedError>>()?;
        if self.plan.events {
            self.lifecycle.load_and_publish(db, &told).await?;
        } else {
            self.lifecycle.load(db, &told).await?;
        }
        Ok((told.len() as u64, told.iter().map(|t| t.history.len() as u64).sum()))
    }

    fn goods(&self, i: u64) -> &goods::Model {
        let n = self.goods.len() as u64;
        &self.goods[usize::try_from(rules::chance(i, 10) % n).unwrap_or(0)]
    }

    fn tell(&self, i: u64, numbers: &mut impl Iterator<Item = i64>) -> Result<Told, SeedError> {
        let goods = self.goods(i);
        let n = self.customers.len() as u64;
        let customer = &self.customers[usize::try_from(rules::chance(i, 11) % n).unwrap_or(0)];
        let at = rules::placed_at(i, self.plan.orders, self.from_ms, self.to_ms);
        let id = ids::floor_at(at);
        let service_no = if goods.kind == goods::SERVICE { numbers.next().unwrap_or(0) } else { 0 };
        let birth = Birth { id, number: self.numbers.number(id), service_no };
        let story = rules::story(i, self.plan.orders, self.plan.state);
        let told = |e: PlaceError| SeedError::Story(e.to_string());
        let mut draft =
            intake::draft(&rules::wish(i, at, goods, customer), goods, customer, birth).map_err(told)?;
        self.fit(&mut draft, story, i);
        let deeds = rules::deeds(i, story, &draft, &self.cast, self.now);
        tell(draft, &self.cast.shop, &deeds).map_err(|e: Refusal| SeedError::Story(format!("{e:?}")))
    }

    /// What the story needs of the row it begins with.
    fn fit(&self, draft: &mut orders::Model, story: Story, i: u64) {
        use contracts::order_state::FulfilState::{NotStarted, Queued};
        match story {
            Story::Unpaid => draft.expire_at = rules::still_open_until(i, self.now),
            Story::Paid(state @ (Queued | NotStarted)) => draft.initial_state = state.into(),
            _ => {}
        }
        draft.claimed_from = draft.initial_state;
    }
}
