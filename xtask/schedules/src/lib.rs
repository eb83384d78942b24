//! Runs a scenario under many schedules: what `cargo xtask shuttle` asks for in the environment.
//!
//! | variable               | meaning                                                    | without it |
//! |------------------------|------------------------------------------------------------|------------|
//! | `SCHEDULES`            | how many, half of them random, half by PCT                 | 1 000      |
//! | `SHUTTLE_RANDOM_SEED`  | what they are drawn from                                   | random     |
//! | `SCHEDULES_FAILURES`   | the folder into which a schedule that fails is written     | printed    |
//! | `SCHEDULES_REPLAY`     | such a file: runs that schedule alone                      | none       |
#![forbid(unsafe_code)]

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// How many changes of priority PCT makes in one schedule: the depth of the faults that it finds.
const DEPTH: usize = 4;

/// Runs the scenario under each schedule.
///
/// # Panics
/// As soon as the scenario does, or deadlocks, or goes on for ever; which schedule did it is written down.
pub fn check(scenario: impl Fn() + Copy + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 17;
    config.max_steps = MaxSteps::FailAfter(100_000);
    config.silence_warnings = true; // of orderings: they are loom's business
    if let Ok(folder) = std::env::var("SCHEDULES_FAILURES") {
        config.failure_persistence = FailurePersistence::File(Some(folder.into()));
    }
    if let Ok(file) = std::env::var("SCHEDULES_REPLAY") {
        let schedule = ReplayScheduler::new_from_file(file).expect("the file of a schedule");
        Runner::new(schedule, config).run(scenario);
        return;
    }
    let schedules: usize = std::env::var("SCHEDULES")
        .map_or(1_000, |text| text.parse().expect("SCHEDULES is a number"));
    let random = RandomScheduler::new(schedules / 2);
    Runner::new(random, config.clone()).run(scenario);
    let pct = PctScheduler::new(DEPTH, schedules - schedules / 2);
    Runner::new(pct, config).run(scenario);
}
