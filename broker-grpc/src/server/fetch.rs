//! Fetch: a bounded read with a long poll. Nothing of it stays on the server.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use footman_broker::{Item, Records};
use prost::Message as _;
use tokio::time::{Instant, timeout_at};

use crate::proto;
use crate::server::calls::Call;
use crate::server::convert;
use crate::server::limits::MAX_RUN_BYTES;
use crate::server::passed_over::{PASSED_IN_A_TURN, PassedOver};
use crate::server::state::State;
use crate::server::status::Failure;
use crate::server::subscribe::{consumer, follow, positions};
use crate::wire::Frame;

/// Bytes of a response where the client does not say.
const FETCH_BYTES: u32 = 1024 * 1024;

/// The longest that a fetch may wait.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What is being put into one response.
struct Basket {
    items: Vec<Frame>,
    records: usize,
    bytes: usize,
    max_records: usize,
    max_bytes: usize,
    passed_over: PassedOver,
    /// It has an item that is not records: that never waits for company.
    has_news: bool,
    /// Where to go on in topics whose last records did not fit.
    left: HashMap<Arc<str>, u64>,
}

impl Basket {
    fn is_full(&self) -> bool {
        self.records >= self.max_records || self.bytes >= self.max_bytes || !self.left.is_empty()
    }

    fn put(&mut self, item: Item) {
        let item = match item {
            Item::Filtered(filtered) => return self.passed_over.add(filtered),
            item => item,
        };
        if let Item::Records(records) = &item {
            if !self.fits(records) {
                self.left
                    .insert(Arc::clone(records.topic()), records.base_offset());
                return;
            }
            self.records += records.len();
            self.bytes += records.encoded().len();
        } else {
            self.has_news = true;
        }
        self.items.extend(self.passed_over.take(item.topic()));
        self.items.extend(convert::item(item));
    }

    fn fits(&self, records: &Records) -> bool {
        self.bytes == 0
            || (self.bytes + records.encoded().len() <= self.max_bytes
                && self.records + records.len() <= self.max_records)
    }
}

/// Reads what is there, or waits for it.
pub(crate) async fn fetch(
    state: &Arc<State>,
    request: proto::FetchRequest,
) -> Result<Frame, Failure> {
    if let Some(call) = Call::current() {
        call.enrol(None);
    }
    let mut consumer = consumer(
        &state.broker,
        request.max_records,
        request.max_bytes,
        FETCH_BYTES,
    );
    follow(
        &mut consumer,
        request.topics,
        state.limits.max_topics_per_call,
    )?;
    // What is there now is read, however little of it matches.
    let mut unread: u64 = consumer
        .positions()
        .filter_map(|(topic, _)| consumer.lag(&topic))
        .sum();
    let or = |value: u32, default: usize| match value {
        0 => default,
        value => usize::try_from(value).unwrap_or(usize::MAX),
    };
    let max_bytes = or(request.max_bytes, FETCH_BYTES as usize).min(MAX_RUN_BYTES);
    let min_bytes = or(request.min_bytes, 1).min(max_bytes);
    let wait = Duration::from_micros(u64::from(request.max_wait_us)).min(MAX_WAIT);
    let deadline = Instant::now() + wait;
    let mut basket = Basket {
        items: Vec::new(),
        records: 0,
        bytes: 0,
        max_records: or(request.max_records, usize::MAX),
        max_bytes,
        passed_over: PassedOver::default(),
        has_news: false,
        left: HashMap::new(),
    };
    loop {
        let mut passed = 0;
        while !basket.is_full() && passed < PASSED_IN_A_TURN {
            match consumer.try_poll() {
                Some(item) => {
                    if let Item::Filtered(filtered) = &item {
                        passed += filtered.records();
                    }
                    basket.put(item);
                }
                None => break,
            }
        }
        unread = unread.saturating_sub(passed);
        if passed >= PASSED_IN_A_TURN && (unread > 0 || Instant::now() < deadline) {
            tokio::task::yield_now().await;
            continue;
        }
        let is_enough = basket.bytes >= min_bytes || basket.is_full() || basket.has_news;
        if is_enough || consumer.is_finished() || wait.is_zero() {
            break;
        }
        let next = poll_fn(|cx| {
            if state.calls.is_draining() {
                return Poll::Ready(None);
            }
            consumer.poll_next_item(cx).map(Some)
        });
        match timeout_at(deadline, next).await {
            Ok(Some(item)) => basket.put(item),
            Ok(None) | Err(_) => break,
        }
    }
    basket.items.extend(basket.passed_over.take_all());
    let mut next = positions(&consumer);
    for position in &mut next {
        if let Some(left) = basket.left.get(position.topic.as_str()) {
            position.next_offset = *left;
        }
    }
    Ok(Frame::Fetch {
        items: basket.items,
        next: encode_next(&next),
    })
}

/// The `next` fields of a `FetchResponse`.
fn encode_next(positions: &[proto::Position]) -> bytes::Bytes {
    let mut next = BytesMut::new();
    for position in positions {
        next.put_u8(2 << 3 | 2);
        // A buffer that grows has room for everything.
        if position.encode_length_delimited(&mut next).is_err() {
            break;
        }
    }
    next.freeze()
}
