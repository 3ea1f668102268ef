//! The system with its partners, receivers, goods and supplier, ready to be broken.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bench::{
    receiver::{Faults, Receiver},
    shop::{PRICE, Shop},
    system::{Blueprint, Mode, OwnServers, Settings, System, Urls},
};
use futures_util::{StreamExt, stream};

use crate::{
    Plan,
    load::{Kept, Ledger, Load, Trade},
    truth::{Account, Books, Truth},
};

/// How long a client sends the same request again before it gives up. Longer than any fault lasts.
const PERSISTENCE: Duration = Duration::from_secs(60);
/// How long everything may take to arrive after a fault.
const DRAIN: Duration = Duration::from_secs(240);
/// Pauses between tries of a callback, seconds; shorter than in production, so that a run ends.
const SCHEDULE: &str = "5,10,20,30,30,30,30,30,30,30,30,30";

/// See the module.
pub struct Stand {
    pub system: System,
    /// The last endpoint is the second's alone, the others are the first's.
    pub receivers: [Receiver; 2],
    pub trade: Trade,
    pub shop: Shop,
    pub truth: Truth,
    before: Books,
}

impl Stand {
    /// Starts the system and sets up a partner with goods and a subscription for each endpoint.
    pub async fn set(mode: Mode, replicas: usize, plan: &Plan, urls: Urls) -> Result<Self, String> {
        let receivers = [Receiver::start()?, Receiver::start()?];
        let mut more: Settings = vec![("BAODAN_CALLBACK__RETRY_SCHEDULE_SECONDS".into(), SCHEDULE.into())];
        if replicas == 1 {
            // Nobody takes over, so there is nothing to wait for.
            more.push(("BAODAN_DRAIN_SECONDS".into(), "0".into()));
        }
        let callback_allow = receivers.iter().map(|r| r.address.to_string()).collect::<Vec<_>>().join(",");
        let system = System::build(Blueprint { mode, replicas, callback_allow, urls, more }).await?;
        match Self::furnish(&system, &receivers, plan.endpoints).await {
            Ok((shop, trade)) => {
                let truth = Truth::new(&system);
                Ok(Self { system, receivers, trade, shop, truth, before: Books::default() })
            }
            Err(e) => {
                let told = format!("{e}\n{}", system.log_tails());
                system.end().await?;
                Err(told)
            }
        }
    }

    async fn furnish(
        system: &System,
        receivers: &[Receiver; 2],
        endpoints: u32,
    ) -> Result<(Shop, Trade), String> {
        let shop = Shop::through(&system.doors(), &system.password).await?;
        let setting = stream::iter((1..=endpoints).map(|endpoint| {
            let receiver = &receivers[usize::from(endpoint == endpoints)];
            // Priced, so that paying is a change of its own.
            shop.endpoint(receiver, endpoint, PRICE)
        }));
        let made: Vec<_> = setting.buffered(4).collect().await;
        let goods = made.into_iter().map(|m| Ok(m?.1)).collect::<Result<Vec<i64>, String>>()?;
        let key = shop.supplier_key("chaos supplier", &goods).await?;
        let trade = Trade {
            shop: shop.persistent(PERSISTENCE),
            goods: goods.into(),
            key,
            ledger: Arc::<Ledger>::default(),
        };
        Ok((shop, trade))
    }

    pub fn load(&self, plan: &Plan) -> Load {
        Load::start(&self.trade, plan.rate)
    }

    /// Ends the load, waits until everything has arrived, and settles the account of what happened since the last
    /// time.
    pub async fn settle(&mut self, name: &str, load: Load) -> Result<Account, String> {
        let stopped = Instant::now();
        let kept = load.end().await?;
        self.drain().await?;
        self.account(name, kept, stopped.elapsed()).await
    }

    /// Waits until the receivers have everything the database holds, or for so long that they never will.
    pub async fn drain(&self) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let received: usize = self.receivers.iter().map(Receiver::count).sum();
            match self.truth.changes().await {
                // Parked ones never arrive; the account says so.
                Ok(changes) if received as u64 >= changes => return Ok(()),
                Ok(_) if started.elapsed() > DRAIN => return Ok(()),
                Err(e) if started.elapsed() > DRAIN => return Err(e),
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn account(&mut self, name: &str, kept: Kept, drain: Duration) -> Result<Account, String> {
        let received: Vec<_> = self.receivers.iter().map(Receiver::orders).collect();
        let faults = self.receivers.iter().map(Receiver::faults).fold(Faults::default(), |a, b| Faults {
            duplicates: a.duplicates + b.duplicates,
            altered: a.altered + b.altered,
            out_of_order: a.out_of_order + b.out_of_order,
            refused: a.refused + b.refused,
        });
        let now = self.truth.books(&self.trade.ledger, &received, faults, self.shop.failures()).await?;
        let account = Account {
            name: name.to_owned(),
            books: now.since(&self.before),
            kept,
            drain,
            note: String::new(),
        };
        self.before = now;
        bench::say(&account.line());
        Ok(account)
    }

    pub async fn end(self) -> Result<(), String> {
        self.system.end().await
    }
}

/// The servers that a set of runs may stop, with a system on them.
pub async fn with_own_servers(plan: &Plan, replicas: usize) -> Result<(OwnServers, Stand), String> {
    let servers = OwnServers::start().await?;
    let stand = Stand::set(Mode::Distributed, replicas, plan, servers.urls()).await?;
    Ok((servers, stand))
}
