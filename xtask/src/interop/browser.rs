//! A real browser: headless Chromium opens the example's page, which speaks gRPC-web to the server; a page of the
//! test uses it as a person would and reports here.

use super::workshop;
use crate::{
    command::{command, exists, root},
    server::Server,
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    path::{Component, Path},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Sender},
    thread,
    time::Duration,
};

/// The names under which Chromium is installed.
const BROWSERS: [&str; 4] = [
    "chromium-headless-shell",
    "chromium",
    "google-chrome",
    "chrome",
];

/// The longest that the page may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run() -> Result<()> {
    let browser = BROWSERS.into_iter().find(|name| exists(name));
    let browser = browser.context("Chromium is needed, and not installed")?;
    let folder = workshop::examples("browser")?;
    workshop::npm_install(&folder, &[])?;
    workshop::copy(&workshop::protos(), &folder.join("proto"))?;
    let test = root().join("xtask/interop/browser/test.html");
    fs::copy(test, folder.join("test.html"))?;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let origin = format!("http://{}", listener.local_addr()?);
    let allowed = ["--cors-origin", origin.as_str()];
    let mut server = Server::start("debug", &allowed)?;
    let address = server.address().to_owned();
    let (said, saying) = mpsc::channel();
    thread::spawn(move || serve(&listener, &folder, &said));

    let profile = tempfile::tempdir()?;
    let mut chromium = command(browser);
    chromium
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        // It ends as soon as a page is loaded unless somebody may want to look into it.
        .args(["--remote-debugging-port=0", "--no-first-run"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("{origin}/test.html?server=http://{address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let _browser = Browser(chromium.spawn().context("starting Chromium")?);
    let mut held = 0;
    loop {
        let said = saying.recv_timeout(PATIENCE);
        let (what, text, answer) = said.context("the page says nothing more")?;
        match what.as_str() {
            "/holds" => {
                println!("{text}");
                held += 1;
            }
            "/restart" => {
                server.stop()?;
                server = Server::start_at("debug", &address, &allowed)?;
            }
            "/failed" => bail!("the page failed: {text}"),
            "/done" => break,
            _ => bail!("the page says {what}"),
        }
        answer.send(()).ok();
    }
    ensure!(held == 4, "only {held} of 4 things hold");
    server.stop()
}

/// Chromium, with all its processes: what is installed under its name may be a script that starts it. Killed when dropped.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let kill = Command::new("kill").args(["-KILL", "--", &group]).status();
        if !kill.is_ok_and(|status| status.success()) {
            eprintln!("browser: the processes of group {group} could not be ended");
        }
        self.0.wait().ok();
    }
}

/// What the page posted: where, what, and whom to tell that it has been dealt with.
type Said = (String, String, Sender<()>);

/// Serves the folder, and hands on what is posted, each connection in a thread.
fn serve(listener: &TcpListener, folder: &Path, said: &Sender<Said>) {
    for connection in listener.incoming().map_while(Result::ok) {
        let (folder, said) = (folder.to_owned(), said.clone());
        thread::spawn(move || {
            if let Err(error) = answer(connection, &folder, &said) {
                eprintln!("browser: {error:#}");
            }
        });
    }
}

/// Answers one request, and closes.
fn answer(connection: TcpStream, folder: &Path, said: &Sender<Said>) -> Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(()); // Browsers open connections that they do not use.
    };
    let path = target.split('?').next().unwrap_or_default();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let (status, kind, body) = if method == "POST" {
        let mut text = String::new();
        reader.take(length).read_to_string(&mut text)?;
        let (done, wait) = mpsc::channel();
        said.send((path.to_owned(), text, done))?;
        wait.recv().ok();
        ("200 OK", "text/plain", Vec::new())
    } else {
        match file(folder, path) {
            Some(body) => ("200 OK", kind(path), body),
            None => ("404 Not Found", "text/plain", Vec::new()),
        }
    };
    let mut connection = connection;
    write!(
        connection,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    connection.write_all(&body)?;
    Ok(())
}

/// A file below the folder.
fn file(folder: &Path, path: &str) -> Option<Vec<u8>> {
    let path = Path::new(path.trim_start_matches('/'));
    let is_below = |part| matches!(part, Component::Normal(_));
    path.components().all(is_below).then_some(())?;
    fs::read(folder.join(path)).ok()
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        _ => "application/octet-stream",
    }
}
