//! A broker against a plain model of it, over random sequences of everything that can be done.
//!
//! `FOOTMAN_MODEL_CASES` sets the number of sequences (of up to 200 steps each).

mod plain;
mod steps;
mod world;

use proptest::prelude::*;

use steps::step;
use world::World;

/// Half a million steps, 100 in a case; `FOOTMAN_MODEL_CASES` asks for more.
fn cases() -> u32 {
    let cases = std::env::var("FOOTMAN_MODEL_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(5_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_broker_does_what_the_model_says(steps in proptest::collection::vec(step(), 1..200)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
    }
}
