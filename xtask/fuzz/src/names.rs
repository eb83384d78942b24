//! Topic names and patterns.
#![no_main]

use footman_broker::{Broker, BrokerOptions, StartAt, TopicOptions, check_name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (name, pattern) = text.split_once('\n').unwrap_or((text, text));
    let broker = Broker::new(BrokerOptions::new()).unwrap();
    let created = broker.create_topic(name, TopicOptions::new());
    assert_eq!(created.is_ok(), check_name(name).is_ok(), "{created:?}");

    let mut consumer = broker.consumer();
    let Ok(found) = consumer.subscribe_pattern(pattern, StartAt::Earliest) else {
        return;
    };
    assert!(found <= 1 && (found == 0 || created.is_ok()));
    if created.is_ok() {
        assert_eq!(
            found == 1,
            matches(pattern, name),
            "{pattern:?} and {name:?}"
        );
    }
    // Later is as good as before.
    broker.delete_topic(name).ok();
    let mut late = broker.consumer();
    late.subscribe_pattern(pattern, StartAt::Earliest).unwrap();
    if broker.create_topic(name, TopicOptions::new()).is_ok() {
        late.try_poll();
        assert_eq!(late.positions().count(), found);
    }
});

/// The rule, plainly: `*` is one word between dots, `>` at the end is one or more.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<_>, Vec<_>) =
        (pattern.split('.').collect(), name.split('.').collect());
    fn from(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([">"], [_, ..]) => true,
            ([word, pattern @ ..], [this, name @ ..]) => {
                (*word == "*" || word == this) && from(pattern, name)
            }
            _ => false,
        }
    }
    from(&pattern, &name)
}
