//! `footman serve`: a server until a signal, then a drain.

use std::io::Write;

use anyhow::{Result, bail};
use footman_broker_grpc::{ServeError, Server};

use crate::args::serve::ServeArgs;
use crate::config::Settings;
use crate::outcome::Outcome;
use crate::signal::Stop;
use crate::stdout::print;

pub(crate) async fn run(args: ServeArgs) -> Result<Outcome> {
    let settings = Settings::resolve(&args)?;
    if args.print_config {
        print(settings.to_string().as_bytes())?;
        return Ok(Outcome::Done);
    }
    let mut stop = Stop::listen()?;
    raise_descriptor_limit();
    let options = settings.server()?;
    let server = match Server::bind_all(&settings.listen, options).await {
        Err(ServeError::Bind { address, source }) => bail!(
            "cannot listen on {address}: {source} (choose another address with --listen; port 0 takes a free one)"
        ),
        bound => bound?,
    };
    for address in server.addresses() {
        // Scripts wait for this line; whoever started the server may have closed stderr, which is their choice.
        let _ = writeln!(std::io::stderr().lock(), "listening on {address}");
    }
    server.serve(async move { stop.asked().await }).await?;
    Ok(Outcome::Done)
}

/// Lets the process have as many descriptors as it may: a connection takes one, and what a login shell gives
/// (1024 is common) is meant for programs that wait with `select`.
fn raise_descriptor_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            limit.current = limit.maximum;
            if let Err(error) = setrlimit(Resource::Nofile, limit) {
                tracing::warn!(%error, "cannot raise the limit of open descriptors");
            }
        }
    }
}
