//! The queue against a plain model: lists of items, closed by looking at all of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::batch::BatchLimits;
use crate::queue::{Hand, Mode, Queue, Settled, Take, Tray};
use crate::ticket::Ticket;

#[derive(Debug, Clone)]
enum Step {
    Offer {
        bytes: usize,
    },
    Submit {
        bytes: usize,
    },
    OfferOrEvict,
    Take,
    /// Settles the hand at this place (modulo how many there are) in one of five ways.
    Settle {
        hand: usize,
        how: u8,
    },
    Flush,
    Press,
    Advance {
        ms: u64,
    },
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0usize..8).prop_map(|bytes| Step::Offer { bytes }),
        2 => (0usize..8).prop_map(|bytes| Step::Submit { bytes }),
        2 => Just(Step::OfferOrEvict),
        6 => Just(Step::Take),
        6 => (0usize..4, 0u8..6).prop_map(|(hand, how)| Step::Settle { hand, how }),
        1 => Just(Step::Flush),
        1 => Just(Step::Press),
        3 => (0u64..8).prop_map(|ms| Step::Advance { ms }),
        1 => prop::bool::weighted(0.1).prop_map(|drain| if drain { Step::Drain } else { Step::Take }),
    ]
}

/// A batch of the model: items, and how many flushes had been asked for when it was begun.
#[derive(Debug, Clone, PartialEq, Default)]
struct Plain {
    items: Vec<u64>,
    flushes: usize,
}

#[derive(Default)]
struct Model {
    open: Plain,
    open_bytes: usize,
    open_since: u64,
    closed: VecDeque<Plain>,
    resting: Vec<(u64, Plain)>,
    set_aside: Vec<Plain>,
    hands: Vec<Plain>,
    flushes: usize,
    accepted: u64,
    ended: u64,
}

impl Model {
    fn close(&mut self) {
        if !self.open.items.is_empty() {
            self.closed.push_back(std::mem::take(&mut self.open));
            self.open_bytes = 0;
        }
    }

    fn offer(&mut self, item: u64, bytes: usize, now: u64, limits: (usize, usize)) {
        if !self.open.items.is_empty() && self.open_bytes + bytes > limits.1 {
            self.close();
        }
        if self.open.items.is_empty() {
            self.open_since = now;
            self.open.flushes = self.flushes;
        }
        self.open.items.push(item);
        self.open_bytes += bytes;
        self.accepted += 1;
        if self.open.items.len() == limits.0 || self.open_bytes >= limits.1 {
            self.close();
        }
    }

    fn queued(&self) -> usize {
        let all = self
            .closed
            .iter()
            .chain(self.resting.iter().map(|(_, batch)| batch));
        let all = all.chain(&self.set_aside).chain([&self.open]);
        all.map(|batch| batch.items.len()).sum()
    }

    /// Whether all batches begun before the flush that was number `flush` have ended.
    fn is_flushed(&self, flush: usize) -> bool {
        let live = self
            .closed
            .iter()
            .chain(self.resting.iter().map(|(_, batch)| batch));
        let mut live = live.chain(&self.hands).chain([&self.open]);
        !live.any(|batch| !batch.items.is_empty() && batch.flushes < flush)
    }
}

const LINGER_MS: u64 = 10;

/// Does something with the batch laid out, as an enqueue does.
fn on_tray<O>(
    queue: &mut Queue<u64, u64>,
    begin: bool,
    act: impl FnOnce(&mut Tray<u64, u64>) -> O,
) -> O {
    let mut tray = Tray::new();
    queue.lay_out(&mut tray, begin);
    let outcome = act(&mut tray);
    queue.take_back(&mut tray);
    outcome
}

/// Over half a million steps, 40 in a case; `FOOTMAN_MODEL_CASES` asks for more.
fn cases() -> u32 {
    let cases = std::env::var("FOOTMAN_MODEL_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(16_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn does_what_plain_lists_do(
        max_items in 1usize..6,
        max_bytes in 4usize..30,
        capacity in 6usize..20,
        adaptive in prop::bool::weighted(0.2),
        begin in prop::bool::ANY,
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let limits = BatchLimits::new()
            .with_max_items(max_items)
            .with_max_bytes(max_bytes)
            .with_linger(Duration::from_millis(LINGER_MS));
        let mut queue = Queue::<u64, u64>::new(&limits, capacity, None, adaptive);
        let mut model = Model::default();
        let mut hands: Vec<Hand<u64, u64>> = Vec::new();
        let mut tickets: Vec<(u64, Ticket<u64>)> = Vec::new();
        let mut flushes: Vec<(u64, usize)> = Vec::new();
        let start = Instant::now();
        let (mut ms, mut item) = (0u64, 0u64);
        for step in steps {
            let now = start + Duration::from_millis(ms);
            let takes = queue.mode == Mode::Running;
            match step {
                Step::Offer { bytes } if takes && queue.room() > 0 => {
                    if !(bytes == 0 && on_tray(&mut queue, begin, |tray| tray.put(item, || now)).is_ok()) {
                        queue.offer(item, bytes, 0, || now);
                    }
                    model.offer(item, bytes, ms, (max_items, max_bytes));
                    item += 1;
                }
                Step::Submit { bytes } if takes && queue.room() > 0 => {
                    let laid = (bytes == 0).then(|| on_tray(&mut queue, begin, |tray| tray.submit(item, || now)));
                    let ticket = match laid {
                        Some(Ok(ticket)) => ticket,
                        _ => queue.submit(item, bytes, 0, || now).1,
                    };
                    tickets.push((item, ticket));
                    model.offer(item, bytes, ms, (max_items, max_bytes));
                    item += 1;
                }
                Step::OfferOrEvict if takes => {
                    let evicted = if queue.room() > 0 { None } else { queue.evict() };
                    let expected = if model.queued() < capacity { None } else {
                        if model.closed.is_empty() {
                            model.close();
                        }
                        model.closed.front_mut().map(|front| front.items.remove(0))
                    };
                    if model.closed.front().is_some_and(|front| front.items.is_empty()) {
                        model.closed.pop_front();
                    }
                    prop_assert_eq!(evicted.as_ref().map(|(item, _)| *item), expected);
                    model.ended += u64::from(expected.is_some());
                    if let Some((_, Some(ticket))) = evicted {
                        ticket.refuse(&crate::SubmitError::Evicted);
                    }
                    if queue.room() > 0 {
                        queue.offer(item, 1, 0, || now);
                        model.offer(item, 1, ms, (max_items, max_bytes));
                        item += 1;
                    }
                }
                Step::Take => {
                    let rested = model.resting.iter().map(|(until, _)| *until).min();
                    let expected = if rested.is_some_and(|until| until <= ms) {
                        let at = model.resting.iter().position(|(until, _)| Some(*until) == rested);
                        at.map(|at| model.resting.swap_remove(at).1)
                    } else {
                        let due = adaptive || queue.pressed || !takes
                            || model.open_since + LINGER_MS <= ms;
                        if model.closed.is_empty() && due {
                            model.close();
                        }
                        model.closed.pop_front()
                    };
                    match queue.take(|| now) {
                        Take::Batch(hand) => {
                            prop_assert_eq!(Some(&hand.items), expected.as_ref().map(|b| &b.items));
                            hands.push(hand);
                            model.hands.extend(expected);
                        }
                        Take::Wait(until) => {
                            prop_assert_eq!(expected, None);
                            let linger = (!model.open.items.is_empty())
                                .then_some(model.open_since + LINGER_MS);
                            let nearest = [linger, rested].into_iter().flatten().min();
                            let nearest = nearest.map(|ms| start + Duration::from_millis(ms));
                            prop_assert_eq!(until, nearest);
                        }
                        Take::Exit => {
                            prop_assert_eq!(expected, None);
                            let set_aside: usize =
                                model.set_aside.iter().map(|batch| batch.items.len()).sum();
                            prop_assert!(!takes && model.queued() == set_aside);
                        }
                    }
                }
                Step::Settle { hand, how } if !hands.is_empty() => {
                    let at = hand % hands.len();
                    let (mut hand, plain) = (hands.remove(at), model.hands.remove(at));
                    let count = plain.items.len() as u64;
                    queue.settle(match how {
                        0 => {
                            model.resting.push((ms + 5, plain));
                            Settled::Retry(hand, now + Duration::from_millis(5))
                        }
                        1 if count > 1 => {
                            let middle = plain.items.len() / 2;
                            let part = |items: &[u64]| Plain {
                                items: items.to_vec(),
                                flushes: plain.flushes,
                            };
                            model.closed.push_front(part(&plain.items[middle..]));
                            model.closed.push_front(part(&plain.items[..middle]));
                            Settled::Split(hand)
                        }
                        2 => {
                            model.set_aside.push(plain);
                            hand.tickets = None;
                            Settled::SetAside(hand)
                        }
                        3 => {
                            model.closed.push_front(plain);
                            Settled::GiveBack(hand)
                        }
                        4 => {
                            model.ended += count;
                            hand.items.clear();
                            Settled::Failed { hand, handed_over: false }
                        }
                        _ => {
                            model.ended += count;
                            if let Some(tickets) = hand.tickets.take() {
                                tickets.reply(hand.items.iter().map(|item| item * 10));
                            }
                            hand.items.clear();
                            Settled::Processed(hand)
                        }
                    });
                }
                Step::Flush => {
                    model.close();
                    model.flushes += 1;
                    flushes.push((queue.flush(), model.flushes));
                }
                Step::Press => queue.pressed = !queue.pressed,
                Step::Advance { ms: by } => ms += by,
                Step::Drain => queue.mode = Mode::Draining,
                _ => {}
            }
            let takes = queue.mode == Mode::Running && queue.room() > 0;
            let fits = (begin || !model.open.items.is_empty())
                && model.open.items.len() + 1 < max_items;
            let laid = on_tray(&mut queue, begin, |tray| tray.has_room());
            prop_assert_eq!(laid, takes && fits, "a tray is for items that do not end a batch");
            for (epoch, flush) in &flushes {
                prop_assert_eq!(queue.is_flushed(*epoch), model.is_flushed(*flush));
            }
            let c = queue.snapshot();
            prop_assert_eq!(c.queued, model.queued() as u64);
            prop_assert_eq!(c.accepted, model.accepted);
            prop_assert_eq!(c.accepted - c.queued - c.in_process, model.ended);
            prop_assert_eq!(queue.running, model.hands.len());
        }
        // Replies went to the items that they answer; everybody else hears something too.
        drop(queue.take_all());
        drop(hands);
        for (item, ticket) in tickets {
            if let Ok(reply) = ticket.wait() {
                prop_assert_eq!(reply, item * 10);
            }
        }
    }
}
