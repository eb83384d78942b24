//! Record bodies as a producer sends them, and runs of records as a consumer is sent them.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use footman_broker::{Broker, BrokerOptions, Epoch, ProduceOptions, Records, StartAt};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    let (first, second) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let broker = Broker::new(BrokerOptions::new()).unwrap();
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    let producer = broker.producer("t").unwrap();
    for bodies in [&[first, second][..], &[bytes]] {
        let before = broker.topic("t").unwrap().end_offset;
        match producer.produce_encoded(bodies, &ProduceOptions::new()) {
            Ok(produced) => {
                assert_eq!(
                    (produced.base_offset, produced.count),
                    (before, bodies.len() as u32)
                );
                let mut next = before;
                while next < before + bodies.len() as u64 {
                    let records = consumer.try_poll().unwrap().into_records().unwrap();
                    read(&records, records.len());
                    // What the broker wrote, a client reads.
                    let (count, encoded) = (records.len(), records.encoded().clone());
                    let again =
                        Records::from_encoded(Arc::from("t"), produced.epoch, next, count, encoded);
                    read(&again.unwrap(), count);
                    next = records.next_offset();
                }
            }
            // All or nothing.
            Err(_) => assert_eq!(broker.topic("t").unwrap().end_offset, before),
        }
    }
    // A server that lies.
    let epoch = Epoch::try_from(1_u64).unwrap();
    let run = Bytes::copy_from_slice(bytes);
    if let Ok(records) =
        Records::from_encoded(Arc::from("t"), epoch, u64::MAX - 9, usize::from(cut), run)
    {
        read(&records, usize::from(cut));
    }
});

fn read(records: &Records, count: usize) {
    assert_eq!(records.iter().count(), count);
    for record in records {
        let owned = record.to_record();
        assert_eq!(owned.headers.len(), record.headers().count());
        let mut framed = bytes::BytesMut::new();
        owned.encode_framed(&mut framed);
        assert_eq!(framed.len(), owned.framed_len());
    }
}
