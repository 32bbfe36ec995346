//! The real engine on virtual time, against a provider that judges tokens by its own clock.
//!
//! Each run prints its seed; `EVERBEARER_SEED=N` replays it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use everbearer::attempt::{Context, IssuerPort, Setup, SharedSource, SinkPort};
use everbearer::engine::{Command, Engine};
use everbearer::render::Templates;
use everbearer::rotation::policy::{Lead, Policy};
use everbearer::rotation::receipt::SpecDigest;
use everbearer::rotation::{Draw, RotationName, UnitInterval};
use everbearer::telemetry::Telemetry;
use jiff::SignedDuration;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::mpsc;

use crate::support::fakes::{FakeProvider, FakeSink, FakeSource, Shared, Weather};
use crate::support::virtual_clock::VirtualClock;

struct Seeded(StdRng);

impl Draw for Seeded {
    fn draw(&mut self) -> UnitInterval {
        UnitInterval::new(self.0.random::<f64>()).unwrap()
    }
}

/// One rotation of the simulated world, with everything that an oracle needs.
struct Rotation {
    name: RotationName,
    provider: Arc<FakeProvider>,
    provider_name: Arc<str>,
    source: Arc<SharedSource>,
    sinks: [Arc<FakeSink>; 2],
}

struct World {
    clock: Arc<VirtualClock>,
    providers: Vec<(Arc<FakeProvider>, Arc<FakeSource>)>,
    rotations: Vec<Rotation>,
    seed: u64,
    starts: u64,
}

/// A started engine.
struct Running {
    commands: mpsc::Sender<Command>,
    task: tokio::task::JoinHandle<()>,
}

impl World {
    fn new(seed: u64, rotations: usize) -> Self {
        let clock = Arc::new(VirtualClock::new());
        let minutes = [10, 15, 30, 60, 60, 90, 120, 360, 720, 1440];
        let mut world = Self { clock: clock.clone(), providers: vec![], rotations: vec![], seed, starts: 0 };
        let sources: Vec<_> = minutes
            .iter()
            .enumerate()
            .map(|(index, minutes)| {
                let lifetime = SignedDuration::from_mins(*minutes);
                let provider = FakeProvider::new(clock.clone(), lifetime, "one");
                let source = FakeSource::new("one");
                world.providers.push((provider, source.clone()));
                Arc::new(SharedSource::new(format!("source-{index}"), "files", Box::new(Shared(source))))
            })
            .collect();
        for index in 0..rotations {
            let issuer = index % minutes.len();
            world.rotations.push(Rotation {
                name: RotationName::parse(&format!("r{index}")).unwrap(),
                provider: world.providers[issuer].0.clone(),
                provider_name: format!("issuer-{issuer}").into(),
                source: sources[issuer].clone(),
                sinks: [FakeSink::new(clock.clone()), FakeSink::new(clock.clone())],
            });
        }
        world
    }

    async fn start(&mut self) -> Running {
        self.starts += 1;
        let context = Context { clock: self.clock.clone(), telemetry: Telemetry::new().unwrap() };
        let draws = Seeded(StdRng::seed_from_u64(self.seed.wrapping_add(self.starts)));
        let (engine, commands, _) = Engine::new(context, Box::new(draws));
        let task = tokio::spawn(async move { engine.run().await.unwrap() });
        for rotation in &self.rotations {
            commands.send(Command::Insert(Box::new(rotation.setup()))).await.unwrap();
        }
        Running { commands, task }
    }

    /// Every token that a sink ever held was good, by the provider's clock, until the next one came.
    fn assert_no_sink_ever_held_a_dead_token(&self) {
        for rotation in &self.rotations {
            let issued = rotation.provider.issued.lock().unwrap();
            for sink in &rotation.sinks {
                let store = sink.store.lock().unwrap();
                let ends = store.writes.iter().skip(1).map(|(at, _)| *at).chain([self.clock.true_time()]);
                for ((written, token), replaced) in store.writes.iter().zip(ends) {
                    let expires = issued[token];
                    assert!(
                        replaced < expires,
                        "seed {}: {} held {token} from {written} until {replaced}, but it ended at {expires}",
                        self.seed,
                        rotation.name,
                    );
                }
                assert!(!store.writes.is_empty(), "seed {}: {} was never served", self.seed, rotation.name);
            }
        }
    }

    fn tokens_issued(&self) -> usize {
        self.providers.iter().map(|(provider, _)| provider.issued()).sum()
    }
}

impl Rotation {
    fn setup(&self) -> Setup {
        let sinks = self.sinks.iter().enumerate().map(|(index, sink)| {
            Arc::new(SinkPort {
                name: format!("directory/{}/{index}", self.name).into(),
                kind: "directory",
                port: Arc::new(Shared(sink.clone())),
            })
        });
        Setup {
            name: self.name.clone(),
            installation: "simulation".into(),
            issuer: IssuerPort {
                name: self.provider_name.clone(),
                port: Arc::new(Shared(self.provider.clone())),
                is_basic: false,
                max_concurrent: 8,
            },
            source: self.source.clone(),
            sinks: sinks.collect(),
            templates: Templates::new(&BTreeMap::new()).unwrap(),
            policy: Policy {
                lead: Lead::RenewAt(0.5),
                jitter: 0.1,
                feeds_kubelet: false,
                mint_budget: 10,
                default_lifetime: SignedDuration::from_hours(1),
                schedule: None,
                suspended: false,
            },
            spec: SpecDigest::of([("tokenUrl", &*self.provider_name)]),
            receipt_key: None,
        }
    }
}

impl Running {
    /// A crash: what is in flight is lost.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    async fn drain(self) {
        self.commands.send(Command::Drain).await.unwrap();
        self.task.await.unwrap();
    }
}

fn seed() -> u64 {
    let seed = std::env::var("EVERBEARER_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(rand::random);
    eprintln!("EVERBEARER_SEED={seed}");
    seed
}

async fn pass(span: SignedDuration) {
    tokio::time::sleep(Duration::try_from(span).unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_rotations_stay_valid_for_thirty_days_under_faults() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::new(seed, 100);
    let mut running = world.start().await;
    pass(SignedDuration::from_mins(2)).await;
    let mut faults = 0;
    let end = SignedDuration::from_hours(30 * 24);
    while world.clock.elapsed() < end {
        pass(SignedDuration::from_secs(random.random_range(600..7200))).await;
        let (provider, source) = world.providers[random.random_range(0..world.providers.len())].clone();
        match random.random_range(0..6) {
            0 => {
                let weather = [Weather::Down, Weather::Throttling][random.random_range(0..2)];
                // 40 % of a lifetime, and not before its half has begun for anybody: the whole promise.
                let outage = provider.lifetime.mul_f64(random.random_range(0.05..0.4));
                *provider.weather.lock().unwrap() = weather;
                pass(outage).await;
                *provider.weather.lock().unwrap() = Weather::Fine;
            }
            1 if provider.lifetime >= SignedDuration::from_mins(30) => {
                *provider.weather.lock().unwrap() = Weather::Hanging;
                pass(provider.lifetime.mul_f64(random.random_range(0.1..0.4))).await;
                *provider.weather.lock().unwrap() = Weather::Fine;
            }
            2 => {
                *provider.weather.lock().unwrap() = Weather::LosesAnswers;
                pass(SignedDuration::from_secs(random.random_range(1..30))).await;
                *provider.weather.lock().unwrap() = Weather::Fine;
            }
            3 => {
                // The provider knows the new secret first, as people rotate it.
                let secret = format!("secret-{faults}");
                provider.secret.lock().unwrap().clone_from(&secret);
                *source.secret.lock().unwrap() = secret;
                running.commands.send(Command::LookAtSources).await.unwrap();
                faults += 10; // ten rotations share it
            }
            4 => {
                let sink = &world.rotations[random.random_range(0..world.rotations.len())].sinks[1];
                sink.store.lock().unwrap().broken = true;
                pass(SignedDuration::from_secs(random.random_range(1..120))).await;
                sink.store.lock().unwrap().broken = false;
            }
            _ => {
                running.kill().await;
                running = world.start().await;
                faults += 8; // at most the requests that were in flight
            }
        }
        faults += 1;
    }
    running.drain().await;
    world.assert_no_sink_ever_held_a_dead_token();

    let ideal: f64 = world
        .rotations
        .iter()
        .map(|rotation| end.as_secs_f64() / rotation.provider.lifetime.mul_f64(0.45).as_secs_f64())
        .sum();
    // A lost answer costs each rotation that was due then a token; so many were due in such a window at most.
    let allowed = ideal + f64::from(faults) * 3.0 + 100.0;
    let issued = world.tokens_issued();
    eprintln!("{issued} tokens issued, {ideal:.0} needed at most, {faults} faults");
    assert!(
        f64::from(u32::try_from(issued).unwrap()) < allowed,
        "seed {seed}: {issued} tokens issued, {allowed:.0} allowed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_fresh_tokens_asks_for_none() {
    let mut world = World::new(7, 100);
    let running = world.start().await;
    pass(SignedDuration::from_mins(2)).await;
    let before = world.tokens_issued();
    assert_eq!(before, 100);
    running.kill().await;
    for _ in 0..3 {
        let running = world.start().await;
        pass(SignedDuration::from_secs(30)).await;
        running.drain().await;
    }
    assert_eq!(world.tokens_issued(), before);
    let requests: usize = world.providers.iter().map(|(p, _)| p.requests.lock().unwrap().len()).sum();
    assert_eq!(requests, before, "not even a request that fails");
}

#[tokio::test(start_paused = true)]
async fn a_step_of_the_wall_clock_costs_one_mint_forward_and_none_backward() {
    let mut issued = vec![];
    for hours in [0, -48, 48] {
        let mut world = World::new(7, 100);
        let running = world.start().await;
        pass(SignedDuration::from_mins(2)).await;
        world.clock.step_wall(SignedDuration::from_hours(hours));
        pass(SignedDuration::from_secs(700)).await;
        running.drain().await;
        world.assert_no_sink_ever_held_a_dead_token();
        issued.push(world.tokens_issued());
    }
    let [without, backward, forward] = issued[..] else { unreachable!() };
    assert_eq!(backward, without, "a step back costs no mint");
    assert!(forward <= without + 100, "a step forward costs one each at most: {forward} after {without}");
    assert!(forward >= 200, "a step forward makes every token's age unknown: {forward}");
}
