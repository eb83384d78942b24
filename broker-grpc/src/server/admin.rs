//! Admin: topics and the state of the server, on the generated service.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use footman_broker::OffsetQuery;
use tonic::{Request, Response, Status};

use crate::proto::{self, admin_server, offset_query};
use crate::server::convert;
use crate::server::state::State;
use crate::server::status::Failure;

const PAGE: usize = 1_000;
const MAX_PAGE: usize = 5_000;
const MAX_OFFSET_QUERIES: usize = 1_000;

/// The Admin service.
#[derive(Debug, Clone)]
pub(crate) struct Admin(pub(crate) Arc<State>);

impl Admin {
    fn refuse_when_draining(&self) -> Result<(), Failure> {
        if self.0.calls.is_draining() {
            Err(Failure::draining())
        } else {
            Ok(())
        }
    }

    fn create(&self, request: proto::CreateTopicRequest) -> Result<proto::TopicInfo, Failure> {
        self.refuse_when_draining()?;
        let broker = &self.0.broker;
        let options = convert::new_options(request.options, broker.options().topic_defaults);
        Ok(convert::topic(
            &broker.create_topic(&request.name, options)?,
        ))
    }

    fn offset(&self, query: proto::OffsetQuery) -> Result<proto::TopicOffset, Failure> {
        let at = match query.at {
            Some(offset_query::At::Earliest(true)) => OffsetQuery::Earliest,
            Some(offset_query::At::Latest(true)) => OffsetQuery::Latest,
            Some(offset_query::At::TimestampUs(at)) => OffsetQuery::Timestamp(at),
            _ => {
                let message = "a query must set one of earliest, latest (true) or timestamp_us";
                return Err(Failure::invalid_request(message));
            }
        };
        let (epoch, offset) = self.0.broker.offset_for(&query.topic, at)?;
        Ok(proto::TopicOffset {
            topic: query.topic,
            epoch: epoch.into(),
            offset,
        })
    }

    fn subscriptions(
        &self,
        request: &proto::ListSubscriptionsRequest,
    ) -> Result<proto::ListSubscriptionsResponse, Failure> {
        let skip: usize = match request.page_token.as_str() {
            "" => 0,
            token => token.parse().map_err(|_| {
                Failure::invalid_request(
                    "page_token is not one that the server gave: leave it empty",
                )
            })?,
        };
        let size = page_size(request.page_size);
        let mut matching = self.0.broker.subscriptions();
        matching.retain(|subscription| {
            request.topic.is_empty() || *subscription.topic == *request.topic
        });
        let total = matching.len();
        let page = matching
            .into_iter()
            .skip(skip)
            .take(size)
            .map(convert::subscription);
        let end = skip.saturating_add(size);
        Ok(proto::ListSubscriptionsResponse {
            subscriptions: page.collect(),
            next_page_token: if end < total {
                end.to_string()
            } else {
                String::new()
            },
        })
    }

    fn topics(&self, request: &proto::ListTopicsRequest) -> proto::ListTopicsResponse {
        let size = page_size(request.page_size);
        let all = self.0.broker.topics();
        let mut matching = all
            .iter()
            .filter(|topic| topic.name.starts_with(&request.prefix))
            .filter(|topic| *topic.name > *request.page_token);
        let page: Vec<_> = matching.by_ref().take(size).map(convert::topic).collect();
        let next_page_token = match (matching.next(), page.last()) {
            (Some(_), Some(last)) => last.name.clone(),
            _ => String::new(),
        };
        proto::ListTopicsResponse {
            topics: page,
            next_page_token,
        }
    }

    fn info(&self) -> proto::ServerInfoResponse {
        let state = &self.0;
        let count = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let options = state.broker.options();
        proto::ServerInfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_us: convert::micros(state.started),
            now_us: convert::micros(SystemTime::now()),
            topics: count(state.broker.topics().len()),
            max_topics: count(options.max_topics),
            memory_bytes: state.broker.memory_bytes(),
            max_memory_bytes: options.max_memory_bytes,
            connections: count(state.connections.load(Ordering::Relaxed)),
            calls: count(state.calls.live()),
            subscriptions: count(state.subscriptions.load(Ordering::Relaxed)),
            max_request_bytes: count(state.limits.max_request_bytes),
            auto_create: options.auto_create,
            topic_defaults: Some(convert::options(&options.topic_defaults)),
        }
    }
}

fn page_size(asked: u32) -> usize {
    match usize::try_from(asked) {
        Ok(0) => PAGE,
        Ok(size) => size.min(MAX_PAGE),
        Err(_) => MAX_PAGE,
    }
}

fn answer<T>(result: Result<T, impl Into<Failure>>) -> Result<Response<T>, Status> {
    result
        .map(Response::new)
        .map_err(|error| error.into().into_status())
}

#[tonic::async_trait]
impl admin_server::Admin for Admin {
    async fn create_topic(
        &self,
        request: Request<proto::CreateTopicRequest>,
    ) -> Result<Response<proto::CreateTopicResponse>, Status> {
        let created = self.create(request.into_inner());
        answer(created.map(|topic| proto::CreateTopicResponse { topic: Some(topic) }))
    }

    async fn update_topic(
        &self,
        request: Request<proto::UpdateTopicRequest>,
    ) -> Result<Response<proto::UpdateTopicResponse>, Status> {
        let request = request.into_inner();
        let update = convert::update(request.options);
        let updated = self.0.broker.update_topic(&request.name, update);
        answer(updated.map(|topic| proto::UpdateTopicResponse {
            topic: Some(convert::topic(&topic)),
        }))
    }

    async fn delete_topic(
        &self,
        request: Request<proto::DeleteTopicRequest>,
    ) -> Result<Response<proto::DeleteTopicResponse>, Status> {
        let deleted = self.0.broker.delete_topic(&request.into_inner().name);
        answer(deleted.map(|topic| proto::DeleteTopicResponse {
            topic: Some(convert::topic(&topic)),
        }))
    }

    async fn get_topic(
        &self,
        request: Request<proto::GetTopicRequest>,
    ) -> Result<Response<proto::GetTopicResponse>, Status> {
        let topic = self.0.broker.topic(&request.into_inner().name);
        answer(topic.map(|topic| proto::GetTopicResponse {
            topic: Some(convert::topic(&topic)),
        }))
    }

    async fn list_topics(
        &self,
        request: Request<proto::ListTopicsRequest>,
    ) -> Result<Response<proto::ListTopicsResponse>, Status> {
        Ok(Response::new(self.topics(request.get_ref())))
    }

    async fn purge_topic(
        &self,
        request: Request<proto::PurgeTopicRequest>,
    ) -> Result<Response<proto::PurgeTopicResponse>, Status> {
        let request = request.into_inner();
        let purged = self
            .0
            .broker
            .purge_topic(&request.name, request.before_offset);
        answer(purged.map(|topic| proto::PurgeTopicResponse {
            topic: Some(convert::topic(&topic)),
        }))
    }

    async fn pause_topic(
        &self,
        request: Request<proto::PauseTopicRequest>,
    ) -> Result<Response<proto::PauseTopicResponse>, Status> {
        let paused = self.0.broker.pause_topic(&request.into_inner().name);
        answer(paused.map(|topic| proto::PauseTopicResponse {
            topic: Some(convert::topic(&topic)),
        }))
    }

    async fn resume_topic(
        &self,
        request: Request<proto::ResumeTopicRequest>,
    ) -> Result<Response<proto::ResumeTopicResponse>, Status> {
        let resumed = self.0.broker.resume_topic(&request.into_inner().name);
        answer(resumed.map(|topic| proto::ResumeTopicResponse {
            topic: Some(convert::topic(&topic)),
        }))
    }

    async fn list_offsets(
        &self,
        request: Request<proto::ListOffsetsRequest>,
    ) -> Result<Response<proto::ListOffsetsResponse>, Status> {
        let queries = request.into_inner().queries;
        if queries.len() > MAX_OFFSET_QUERIES {
            let message = format!(
                "{} queries, more than {MAX_OFFSET_QUERIES}: use several calls",
                queries.len()
            );
            return Err(Failure::invalid_request(message).into_status());
        }
        let offsets: Result<Vec<_>, Failure> = queries
            .into_iter()
            .map(|query| self.offset(query))
            .collect();
        answer(offsets.map(|offsets| proto::ListOffsetsResponse { offsets }))
    }

    async fn list_subscriptions(
        &self,
        request: Request<proto::ListSubscriptionsRequest>,
    ) -> Result<Response<proto::ListSubscriptionsResponse>, Status> {
        answer(self.subscriptions(request.get_ref()))
    }

    async fn server_info(
        &self,
        _request: Request<proto::ServerInfoRequest>,
    ) -> Result<Response<proto::ServerInfoResponse>, Status> {
        Ok(Response::new(self.info()))
    }
}
