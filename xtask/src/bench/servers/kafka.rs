//! Kafka: one node (KRaft), its log on tmpfs where there is one, librdkafka on both sides.

use super::{
    load::{Load, Tally},
    peer::Peer,
    process::{Process, free_port},
};
use crate::{command, peers};
use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use std::{fs, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Kafka {
    process: Process,
    address: String,
    _log: TempDir,
}

impl Kafka {
    pub(super) fn start() -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let log = if memory.is_dir() {
            tempfile::tempdir_in(memory)?
        } else {
            tempfile::tempdir()?
        };
        let (port, controller) = (free_port()?, free_port()?);
        let properties = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             controller.listener.names=CONTROLLER\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n\
             log.dirs={}\n",
            log.path().join("log").display()
        );
        let file = log.path().join("server.properties");
        fs::write(&file, properties)?;
        let mut format = peers::program("kafka")?;
        format.args(["kafka.tools.StorageTool", "format"]);
        // Any 16 bytes in base64 name a cluster.
        format.args(["--cluster-id", "Rm9vdG1hbidzIHBlZXIhIQ", "--config"]);
        command::output(format.arg(&file))?;
        let mut server = peers::program("kafka")?;
        server.args(["-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "kafka.Kafka"]);
        let kafka = Self {
            process: Process::start("kafka", server.arg(&file))?,
            address: format!("127.0.0.1:{port}"),
            _log: log,
        };
        let consumer: BaseConsumer = kafka.config().create()?;
        let there = consumer.fetch_metadata(None, PATIENCE);
        there.context("Kafka does not answer: see target/bench/kafka.log")?;
        Ok(kafka)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        // It connects while the server starts.
        config.set("reconnect.backoff.max.ms", "200");
        config.set("log_level", "2");
        config
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(self.config().create()?)
    }

    fn consumer(&self, topic: &str) -> Result<BaseConsumer> {
        let mut config = self.config();
        config.set("group.id", "bench");
        config.set("enable.auto.commit", "false");
        config.set("fetch.wait.max.ms", "100");
        let consumer: BaseConsumer = config.create()?;
        let mut partition = TopicPartitionList::new();
        partition.add_partition_offset(topic, 0, Offset::Beginning)?;
        consumer.assign(&partition)?;
        Ok(consumer)
    }
}

impl Peer for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn pid(&self) -> u32 {
        self.process.id()
    }

    fn create<'a>(&'a self, topic: &'a str, _: u64) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let topic = [NewTopic::new(topic, 1, TopicReplication::Fixed(1))];
            let admin = self.admin()?;
            let options = AdminOptions::new();
            for created in admin.create_topics(&topic, &options).await? {
                created.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
            }
            Ok(())
        })
    }

    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let admin = self.admin()?;
            let options = AdminOptions::new();
            for deleted in admin.delete_topics(&[topic], &options).await? {
                deleted.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
            }
            Ok(())
        })
    }

    fn publish<'a>(&'a self, topic: &'a str, mut load: Load) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut config = self.config();
            config.set("linger.ms", if load.is_paced() { "1" } else { "5" });
            config.set("batch.size", "262144");
            config.set("queue.buffering.max.messages", "1000000");
            let producer: BaseProducer = config.create()?;
            while let Some(payload) = load.next() {
                let mut record = BaseRecord::<(), [u8]>::to(topic)
                    .partition(0)
                    .payload(payload);
                while let Err((error, back)) = producer.send(record) {
                    let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                    if error != full {
                        return Err(error.into());
                    }
                    record = back;
                    producer.poll(Duration::from_millis(1));
                }
            }
            producer.flush(PATIENCE)?;
            Ok(())
        })
    }

    fn subscribe<'a>(
        &'a self,
        topic: &'a str,
        records: u64,
        tally: Arc<Tally>,
    ) -> BoxFuture<'a, Result<BoxFuture<'static, Result<()>>>> {
        Box::pin(async move {
            let consumer = self.consumer(topic)?;
            let receive: BoxFuture<'static, Result<()>> = Box::pin(async move {
                // Its own threads fetch; this one takes what they have.
                let receive = tokio::task::spawn_blocking(move || {
                    while !tally.is_done(records) && !tally.is_over() {
                        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                            tally.take(message?.payload().unwrap_or_default())?;
                        }
                    }
                    anyhow::Ok(())
                });
                receive.await?
            });
            Ok(receive)
        })
    }
}
