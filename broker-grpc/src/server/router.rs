//! From a request's path to the one who answers it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use prost::Message as _;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::body::{AnyBody, MessageBody, One, Piece, Source};
use crate::messages::Messages;
use crate::proto::admin_server::AdminServer;
use crate::proto::{self, DESCRIPTORS};
use crate::server::ServeError;
use crate::server::admin::Admin;
use crate::server::calls::{Call, Watched};
use crate::server::convert;
use crate::server::fetch::fetch;
use crate::server::limits::Limits;
use crate::server::produce::{Appender, ProduceStream, StreamEnds};
use crate::server::state::State;
use crate::server::status::Failure;
use crate::server::subscribe::Subscription;
use crate::server::web::{self, Origins};
use crate::wire::PREFIX;

/// A request's body, however it came.
pub(crate) trait RequestBody:
    http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send>
    + Send
    + Unpin
    + 'static
{
}

impl<B> RequestBody for B where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send>
        + Send
        + Unpin
        + 'static
{
}

/// A response to come.
pub(crate) type Answer =
    Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Infallible>> + Send>>;

/// A response's body.
pub(crate) enum ResponseBody {
    /// Of messages as they are made here.
    Messages(AnyBody),
    /// Of those who answer by tonic.
    Tonic(Body),
}

impl Default for ResponseBody {
    fn default() -> Self {
        ResponseBody::Tonic(Body::default())
    }
}

impl http_body::Body for ResponseBody {
    type Data = Piece;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Piece>, Status>>> {
        match self.get_mut() {
            ResponseBody::Messages(body) => body.as_mut().poll_frame(cx),
            ResponseBody::Tonic(body) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(Piece::from))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Messages(body) => body.is_end_stream(),
            ResponseBody::Tonic(body) => body.is_end_stream(),
        }
    }
}
type Reflection = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// The services of one server. Cheap to clone: each connection has one.
#[derive(Debug, Clone)]
pub(crate) struct Router {
    state: Arc<State>,
    admin: AdminServer<Admin>,
    health: HealthServer<HealthService>,
    reflection: Reflection,
    reflection_alpha: Reflection,
}

impl Router {
    pub(crate) fn new(state: &Arc<State>, health: HealthReporter) -> Result<Self, ServeError> {
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // The details of an error, so that tools can show them.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        let v1 = reflection()
            .build_v1()
            .map_err(|_| ServeError::Descriptors)?;
        let v1alpha = reflection()
            .build_v1alpha()
            .map_err(|_| ServeError::Descriptors)?;
        Ok(Router {
            state: Arc::clone(state),
            admin: AdminServer::new(Admin(Arc::clone(state)))
                .max_decoding_message_size(state.limits.max_request_bytes),
            health: HealthServer::new(HealthService::from_health_reporter(health)),
            reflection: BoxCloneSyncService::new(v1),
            reflection_alpha: BoxCloneSyncService::new(v1alpha),
        })
    }

    /// The pages that may call.
    pub(crate) fn origins(&self) -> &Origins {
        &self.state.origins
    }

    /// Answers a gRPC request.
    pub(crate) fn route(&self, request: Request<impl RequestBody>) -> Answer {
        let max_calls = self.state.limits.max_calls;
        if self.state.calls.live() >= max_calls {
            return refuse(&Failure::too_many_calls(max_calls));
        }
        if let Err(response) = check(&request) {
            return Box::pin(std::future::ready(Ok(*response)));
        }
        let path = request.uri().path();
        let service = path.rsplit_once('/').map_or("", |(service, _)| service);
        match service {
            "/footman.v1.Broker" => {
                let Some(method) = BrokerMethod::of(path) else {
                    return refuse(&Failure::unknown_method(path));
                };
                let state = Arc::clone(&self.state);
                Box::pin(async move {
                    let answer = method.call(state, request.into_body()).await;
                    Ok(answer.unwrap_or_else(|failure| failure.into_status().into_http()))
                })
            }
            "/footman.v1.Admin" => self.have(self.admin.clone(), request),
            "/grpc.health.v1.Health" => self.have(self.health.clone(), request),
            "/grpc.reflection.v1.ServerReflection" => self.have(self.reflection.clone(), request),
            "/grpc.reflection.v1alpha.ServerReflection" => {
                self.have(self.reflection_alpha.clone(), request)
            }
            _ => refuse(&Failure::unknown_method(path)),
        }
    }

    /// The answer of one who reads the request itself, if that comes in time.
    fn have<S>(&self, service: S, request: Request<impl RequestBody>) -> Answer
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Send + 'static,
        S::Future: Send,
    {
        let max_bytes = self.state.limits.max_request_bytes;
        let request = request.map(|body| {
            Body::new(Whole {
                messages: messages(body, &self.state),
                max_bytes,
            })
        });
        let answer = service.oneshot(request);
        let after = self.state.limits.request_timeout;
        Box::pin(async move {
            match timeout(after, answer).await {
                Ok(answer) => Ok(answer?.map(ResponseBody::Tonic)),
                Err(_) => Ok(Failure::request_timeout(after).into_status().into_http()),
            }
        })
    }
}

impl hyper::service::Service<Request<Incoming>> for Router {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        web::answer(self, request)
    }
}

fn refuse(failure: &Failure) -> Answer {
    Box::pin(std::future::ready(Ok(failure
        .clone()
        .into_status()
        .into_http())))
}

/// Whether the request is gRPC at all, in a form that is read here.
fn check<B>(request: &Request<B>) -> Result<(), Box<Response<ResponseBody>>> {
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    let is_grpc =
        header(CONTENT_TYPE.as_str()).is_some_and(|it| it.starts_with(b"application/grpc"));
    if request.method() != Method::POST || !is_grpc || web::is_web(request.headers()) {
        return Err(Box::new(web::not_grpc()));
    }
    match header("grpc-encoding") {
        None | Some(b"identity") => Ok(()),
        Some(_) => {
            let mut response: Response<ResponseBody> =
                Failure::compression().into_status().into_http();
            response
                .headers_mut()
                .insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
            Err(Box::new(response))
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum BrokerMethod {
    Produce,
    ProduceBatch,
    Subscribe,
    Fetch,
    LastByKey,
}

impl BrokerMethod {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/footman.v1.Broker/Produce" => Some(BrokerMethod::Produce),
            "/footman.v1.Broker/ProduceBatch" => Some(BrokerMethod::ProduceBatch),
            "/footman.v1.Broker/Subscribe" => Some(BrokerMethod::Subscribe),
            "/footman.v1.Broker/Fetch" => Some(BrokerMethod::Fetch),
            "/footman.v1.Broker/LastByKey" => Some(BrokerMethod::LastByKey),
            _ => None,
        }
    }

    async fn call(
        self,
        state: Arc<State>,
        body: impl RequestBody,
    ) -> Result<Response<ResponseBody>, Failure> {
        let mut messages = messages(body, &state);
        match self {
            BrokerMethod::Produce => {
                if let Some(call) = Call::current() {
                    call.enrol(None);
                }
                Ok(respond(ProduceStream::new(messages, state)))
            }
            BrokerMethod::ProduceBatch => {
                let message = only(&mut messages, &state.limits).await?;
                let appended = Appender::new(state).append(&message);
                let (_, answer) = appended.map_err(|StreamEnds(failure)| failure)?;
                Ok(respond(One::<true>(Some(answer?))))
            }
            BrokerMethod::Subscribe => {
                let request = only(&mut messages, &state.limits).await?;
                let request = proto::SubscribeRequest::decode(request)?;
                Ok(respond(Subscription::open(&state, request)?))
            }
            BrokerMethod::Fetch => {
                let request = only(&mut messages, &state.limits).await?;
                let request = proto::FetchRequest::decode(request)?;
                Ok(respond(One::<true>(Some(fetch(&state, request).await?))))
            }
            BrokerMethod::LastByKey => {
                let request = only(&mut messages, &state.limits).await?;
                let request = proto::LastByKeyRequest::decode(request)?;
                let last = state.broker.last_by_key(&request.topic, &request.key)?;
                Ok(respond(One::<true>(Some(convert::last_by_key(last)))))
            }
        }
    }
}

/// The messages of a request, as far as there is room for what has begun.
fn messages<B: RequestBody>(body: B, state: &State) -> Messages<B> {
    Messages::new(body, state.limits.max_request_bytes).within(&state.unfinished)
}

/// A request's body for those who take it apart themselves: each message in one piece, because what has begun waits here, where
/// there is a bound on it.
struct Whole<B> {
    messages: Messages<B>,
    max_bytes: usize,
}

impl<B: RequestBody> http_body::Body for Whole<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let message = ready!(self.messages.poll_next(cx));
        Poll::Ready(message.map(|message| match message {
            Ok(message) => {
                let mut framed = BytesMut::with_capacity(PREFIX + message.len());
                framed.put_u8(0);
                // It came with a length of 32 bits.
                framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
                framed.put_slice(&message);
                Ok(http_body::Frame::data(framed.freeze()))
            }
            Err(status) => Err(Failure::unreadable(&status, self.max_bytes).into_status()),
        }))
    }
}

/// The one message of a call that has one.
async fn only(
    messages: &mut Messages<impl RequestBody>,
    limits: &Limits,
) -> Result<Bytes, Failure> {
    match timeout(limits.request_timeout, messages.next()).await {
        Ok(Ok(Some(message))) => Ok(message),
        Ok(Ok(None)) => Err(Failure::invalid_request(
            "the call has no message: send one",
        )),
        Ok(Err(status)) => Err(Failure::unreadable(&status, limits.max_request_bytes)),
        Err(_) => Err(Failure::request_timeout(limits.request_timeout)),
    }
}

fn respond(source: impl Source) -> Response<ResponseBody> {
    let body = Box::pin(MessageBody::new(Watched::new(source)));
    let mut response = Response::new(ResponseBody::Messages(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
