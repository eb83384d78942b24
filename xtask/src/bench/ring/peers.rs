//! The contenders, each driven by its calls that do not wait.

mod channels;
mod disruptor;
mod go_style;
mod ours;
mod photon;
mod queues;
mod run_stamps;

pub(crate) use channels::{AsyncBroadcast, TokioBroadcast};
pub(crate) use disruptor::{DisruptorMany, DisruptorOne};
pub(crate) use go_style::GoStyle;
pub(crate) use ours::{Ours, OursShared};
pub(crate) use photon::{Photon, PhotonMany};
pub(crate) use queues::{Crossbeam, Rtrb};
pub(crate) use run_stamps::RunStamps;
