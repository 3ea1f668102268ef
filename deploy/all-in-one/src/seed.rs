//! `baodan seed`: test data in bulk.

use std::{process::ExitCode, time::Instant};

use clap::Args;
use contracts::order_state::FulfilState;
use order_service::seed::{self, Plan, SeedError, Seeded};
use platform::{run::refuse, service::Shared, settings::Settings};

/// What `baodan seed` takes.
#[derive(Debug, Args)]
pub struct SeedFlags {
    /// Orders to make.
    #[arg(long)]
    orders: u64,
    /// Days they are spread over.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Customers they belong to; default: a tenth of the orders, at most 100,000.
    #[arg(long)]
    customers: Option<u64>,
    /// Goods they are for, comma-separated ids; default: all that are on sale, or some that are made.
    #[arg(long, value_delimiter = ',')]
    goods: Vec<i64>,
    /// Partners whose goods are made when there are none, comma-separated ids; default: the house's own.
    #[arg(long, value_delimiter = ',')]
    partners: Vec<i64>,
    /// The state of work that all are in, for example wks; default: a realistic spread.
    #[arg(long, value_parser = state)]
    state: Option<FulfilState>,
    /// Also tell the other services of every change; slower.
    #[arg(long)]
    events: bool,
    /// Also into a database that holds orders, or that is called production.
    #[arg(long)]
    yes: bool,
}

fn state(code: &str) -> Result<FulfilState, String> {
    FulfilState::from_code(code).ok_or_else(|| {
        format!("{code} is no state; there are dlz, wks, jxz, ywc, ytd, tdz, xfz, bdz, gmz, dlsb")
    })
}

impl SeedFlags {
    fn plan(&self) -> Plan {
        Plan {
            orders: self.orders,
            days: self.days,
            customers: self.customers.unwrap_or((self.orders / 10).clamp(1, 100_000)),
            goods: self.goods.clone(),
            partners: self.partners.clone(),
            state: self.state,
            events: self.events,
            yes: self.yes,
        }
    }
}

/// Makes what the flags ask for.
pub async fn run(settings: Settings, flags: &SeedFlags) -> ExitCode {
    let started = Instant::now();
    match make(settings, flags).await {
        Ok(Seeded { orders, history, customers }) => {
            let seconds = started.elapsed().as_secs_f64();
            say(&format!(
                "{orders} orders, {history} rows of history and {customers} customers made in {seconds:.1} s"
            ));
            ExitCode::SUCCESS
        }
        Err(e) => refuse(&e),
    }
}

async fn make(settings: Settings, flags: &SeedFlags) -> Result<Seeded, SeedError> {
    let shared = Shared::from_settings(settings).await?;
    let mut told = 0;
    seed::run(&shared, &flags.plan(), |orders| {
        // Now and then: this may take minutes.
        if orders - told >= 500_000 {
            told = orders;
            say(&format!("{orders} orders …"));
        }
    })
    .await
}

#[allow(clippy::print_stdout)]
fn say(text: &str) {
    println!("{text}");
}
