//! One system with its partners, goods and supplier: the two things that are measured on it.

use std::time::{Duration, Instant};

use bench::{
    machine::{Foreign, Watch},
    receiver::{Receipt, Receiver},
    shop::{PRICE, Shop},
    system::{Cpu, Mode, System},
};
use futures_util::{StreamExt, stream};
use platform::clock::Clock;

/// How long a backlog may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(180);
/// After the last receipt, until its result is in the database as well: its cost belongs to the figures.
const RECORDING: Duration = Duration::from_secs(2);
/// Hand-outs under way at once.
const SUPPLIERS: usize = 8;

/// A running system, ready to be measured.
pub struct Stage<'a> {
    pub system: System,
    receiver: &'a Receiver,
    shop: Shop,
    /// The supplier's key for all goods.
    key: String,
    /// Priced goods of the first partner.
    priced: i64,
    /// Free goods, one for each endpoint: placing an order is paying it.
    pub free: Vec<i64>,
}

/// A backlog that was sent off.
pub struct Burst {
    pub per_second: f64,
    pub cpu: Cpu,
    pub orders: usize,
    /// How long the hand-out calls took.
    pub claimed_seconds: f64,
    /// From the change to its receipt.
    pub latencies_ms: Vec<f64>,
}

/// A full outbox that was emptied.
pub struct Drain {
    /// Callbacks of the endpoints that answer, from the first of them to the last.
    pub per_second: f64,
    pub cpu: Cpu,
    pub statements: f64,
    pub orders: usize,
}

impl<'a> Stage<'a> {
    /// Starts the system and sets up `endpoints` partners with a subscription each.
    pub async fn set(mode: Mode, receiver: &'a Receiver, endpoints: u32) -> Result<Self, String> {
        let system = System::start(mode, receiver.address).await?;
        match Self::furnish(&system, receiver, endpoints).await {
            Ok((shop, key, priced, free)) => Ok(Self { system, receiver, shop, key, priced, free }),
            Err(e) => {
                let told = format!("{e}\n{}", system.log_tails());
                system.end().await?;
                Err(told)
            }
        }
    }

    async fn furnish(
        system: &System,
        receiver: &Receiver,
        endpoints: u32,
    ) -> Result<(Shop, String, i64, Vec<i64>), String> {
        let shop = Shop::sign_in(&system.url, &system.password).await?;
        let partners = stream::iter((1..=endpoints).map(|endpoint| shop.endpoint(receiver, endpoint, 0)));
        let partners: Vec<_> = partners.buffered(4).collect().await;
        let partners = partners.into_iter().collect::<Result<Vec<(i64, i64)>, String>>()?;
        let first = partners.first().ok_or("no endpoints")?.0;
        let priced = shop.goods("bench priced", first, PRICE).await?;
        let free: Vec<i64> = partners.iter().map(|(_, goods)| *goods).collect();
        let key = shop.supplier_key("bench supplier", &free).await?;
        Ok((shop, key, priced, free))
    }

    /// Places `count` orders and pays them at `rate` a second, whatever the system makes of it. The receipts of
    /// the payments, and the rate that was kept.
    pub async fn paced(
        &self,
        count: usize,
        rate: u32,
        foreign: &mut Foreign,
    ) -> Result<(Vec<Receipt>, f64), String> {
        let before = self.receiver.count();
        let orders = self.shop.place_many(&[self.priced], count).await?;
        self.receiver.until(before + count, PATIENCE).await?;
        let watch = Watch::begin(self.system.cpu()?.all());
        let started = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_secs(1) / rate);
        let mut paying = Vec::with_capacity(count);
        for order in orders {
            tick.tick().await;
            let shop = self.shop.clone();
            paying.push(platform::lifecycle::spawn(async move { shop.pay(&order).await }));
        }
        let kept = count as f64 / started.elapsed().as_secs_f64();
        for call in paying {
            call.await.map_err(|e| e.to_string())??;
        }
        self.receiver.until(before + 2 * count, PATIENCE).await?;
        foreign.end(&watch, self.system.cpu()?.all());
        let receipts = self.receiver.receipts(before).into_iter().filter(|r| r.order_seq == 2).collect();
        Ok((receipts, kept))
    }

    /// Lets `count` orders of `goods` wait, hands all of them out to the supplier at once, and waits for the
    /// callbacks.
    pub async fn burst(&self, goods: &[i64], count: usize, foreign: &mut Foreign) -> Result<Burst, String> {
        let before = self.receiver.count();
        self.shop.place_many(goods, count).await?;
        self.receiver.until(before + count, PATIENCE).await?;
        let cpu = self.system.cpu()?;
        let watch = Watch::begin(cpu.all());
        let (started, started_ms) = (Instant::now(), Clock::system().now_ms());
        let calls = stream::iter(goods.iter().map(|goods| self.shop.hand_out(*goods, &self.key)));
        let handed: Vec<_> = calls.buffer_unordered(SUPPLIERS).collect().await;
        let handed: usize = handed.into_iter().sum::<Result<usize, String>>()?;
        if handed != count {
            return Err(format!("{handed} orders were handed out, {count} were waiting"));
        }
        let claimed_seconds = started.elapsed().as_secs_f64();
        self.receiver.until(before + 2 * count, PATIENCE).await?;
        tokio::time::sleep(RECORDING).await;
        let after = self.system.cpu()?;
        foreign.end(&watch, after.all());
        let receipts = self.receiver.receipts(before);
        let changed = receipts.iter().filter(|r| r.order_seq == 2);
        let latencies_ms = changed.map(Receipt::latency_ms).collect();
        let last_ms = receipts.iter().map(|r| r.received_ms).max().unwrap_or(started_ms);
        let seconds = (last_ms - started_ms).max(1) as f64 / 1000.0;
        Ok(Burst {
            per_second: count as f64 / seconds,
            cpu: after.since(cpu),
            orders: count,
            claimed_seconds,
            latencies_ms,
        })
    }

    /// Changes `count` orders of `goods` while nothing is published, then lets all of it go at once. `dead`: an
    /// endpoint that hangs meanwhile (0 = none); it is looked at that it misses nothing once it answers again.
    pub async fn drain(
        &self,
        goods: &[i64],
        count: usize,
        dead: u32,
        foreign: &mut Foreign,
    ) -> Result<Drain, String> {
        let before = self.receiver.count();
        self.shop.place_many(goods, count).await?;
        self.receiver.until(before + count, PATIENCE).await?;
        let held = self.system.hold_relay().await?;
        for goods in goods {
            self.shop.hand_out(*goods, &self.key).await?;
        }
        self.receiver.play_dead(dead);
        let answering = if dead == 0 { count } else { count - count / goods.len() };
        let (cpu, statements) = (self.system.cpu()?, self.system.statements().await?);
        let watch = Watch::begin(cpu.all());
        let placed = self.receiver.count();
        held.release().await?;
        let arrived = self.receiver.until(placed + answering, PATIENCE).await;
        tokio::time::sleep(RECORDING).await;
        let after = self.system.cpu()?;
        foreign.end(&watch, after.all());
        let statements = self.system.statements().await? - statements;
        self.receiver.play_dead(0);
        arrived?;
        let moments: Vec<i64> = self.receiver.receipts(placed).iter().map(|r| r.received_ms).collect();
        let (first, last) = (moments.iter().min().copied(), moments.iter().max().copied());
        let seconds = (last.unwrap_or_default() - first.unwrap_or_default()).max(1) as f64 / 1000.0;
        self.receiver.until(before + 2 * count, PATIENCE).await?;
        Ok(Drain {
            per_second: answering as f64 / seconds,
            cpu: after.since(cpu),
            statements,
            orders: answering,
        })
    }
}
