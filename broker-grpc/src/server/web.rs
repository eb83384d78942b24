//! gRPC-web: what browsers speak, over HTTP/1.1 and HTTP/2, on the same port as gRPC.
//!
//! A browser says which page (origin) a request comes from; one that is not allowed is refused whatever it asks, so that
//! a page cannot reach a server on its visitor's machine, by another name for it either. Those allowed are told so (CORS).

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    CONTENT_TYPE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer as _, Service as _};

use crate::body::Piece;
use crate::server::ServeError;
use crate::server::router::{Answer, ResponseBody, Router};

/// What pages send with a call.
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("content-type, grpc-timeout, x-grpc-web, x-user-agent");

/// What pages may read of an answer.
const RESPONSE_HEADERS: HeaderValue =
    HeaderValue::from_static("grpc-status, grpc-message, grpc-status-details-bin");

/// How long, in seconds, a browser may remember what it was told before a call.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// The pages that may call.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    all: bool,
    allowed: Vec<HeaderValue>,
}

impl Origins {
    pub(crate) fn new(given: Vec<String>) -> Result<Origins, ServeError> {
        let mut origins = Origins::default();
        for origin in given {
            if origin == "*" {
                origins.all = true;
                continue;
            }
            let is_origin = origin.split_once("://").is_some_and(|(scheme, host)| {
                !scheme.is_empty() && !host.is_empty() && !host.contains('/')
            });
            match HeaderValue::try_from(&origin) {
                Ok(value) if is_origin => origins.allowed.push(value),
                _ => return Err(ServeError::InvalidOrigin(origin)),
            }
        }
        Ok(origins)
    }

    fn allow(&self, origin: &HeaderValue) -> bool {
        self.all || self.allowed.contains(origin)
    }
}

/// Answers a request as it came: a page's question whether it may call, a call by gRPC-web, or gRPC.
pub(crate) fn answer(router: &Router, request: Request<Incoming>) -> Answer {
    let origin = request.headers().get(ORIGIN).cloned();
    if let Some(origin) = &origin
        && !router.origins().allow(origin)
    {
        return at_once(words(
            StatusCode::FORBIDDEN,
            "Pages from this origin may not call: the server's option cors-origin allows them.\n",
        ));
    }
    let is_question = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let answer = if is_question {
        at_once(permission())
    } else if is_web(request.headers()) {
        let mut service: GrpcWebService<Router> = GrpcWebLayer::new().layer(router.clone());
        let answer = service.call(request);
        Box::pin(async move { Ok(answer.await?.map(ResponseBody::Tonic)) })
    } else if request.version() == Version::HTTP_2 {
        router.route(request)
    } else {
        at_once(not_grpc())
    };
    match origin {
        None => answer,
        Some(origin) => Box::pin(async move {
            let mut response = answer.await?;
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
            headers.append(VARY, HeaderValue::from_static("origin"));
            Ok(response)
        }),
    }
}

/// What gRPC-web is translated to.
impl tower::Service<Request<Body>> for Router {
    type Response = Response<InOnePart>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.route(request);
        Box::pin(async move { Ok(answer.await?.map(InOnePart)) })
    }
}

/// A response's body for those who take each frame as one part.
pub(crate) struct InOnePart(ResponseBody);

impl http_body::Body for InOnePart {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(cx));
        let whole = |mut piece: Piece| piece.copy_to_bytes(piece.remaining());
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(whole))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

/// Whether this is gRPC-web in some form.
pub(crate) fn is_web(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|it| it.as_bytes().starts_with(b"application/grpc-web"))
}

/// What is said to a page that asks, before it calls.
fn permission() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("POST"),
    );
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}

/// What is said to those who speak something else.
pub(crate) fn not_grpc() -> Response<ResponseBody> {
    words(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "This port speaks gRPC over HTTP/2, and gRPC-web: see footman/v1/broker.proto.\n",
    )
}

fn words(status: StatusCode, text: &'static str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Tonic(Body::new(text.to_owned())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

fn at_once(response: Response<ResponseBody>) -> Answer {
    Box::pin(std::future::ready(Ok::<_, Infallible>(response)))
}
