//! A forwarder that adds one header to every request and passes on everything else byte for byte,
//! for test programs that cannot send a header of their own.
//!
//! ```text
//! ADD_HEADER='Authorization: Bearer …' add-header --listen 127.0.0.1:0 --to 127.0.0.1:PORT
//! ```
//!
//! It says its own address on the first line. When either side hangs up, so does it to the other.
use std::{
    io::{self, Write as _},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
};

use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader,
    },
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

const USAGE: &str =
    "usage: ADD_HEADER='Name: value' add-header --listen 127.0.0.1:PORT --to 127.0.0.1:PORT";

/// Connections beyond this many wait.
const CONNECTIONS: usize = 256;
/// No head of a request, and no line in it, is longer, in bytes.
const HEAD_BYTES: usize = 256 << 10;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without standard error there is nobody to tell.
            writeln!(io::stderr(), "add-header: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (["--listen", listen, "--to", to], Ok(header)) =
        (words.as_slice(), std::env::var("ADD_HEADER"))
    else {
        return Err(io::Error::other(USAGE));
    };
    let address = |text: &str| text.parse::<SocketAddr>().map_err(io::Error::other);
    let (listen, to) = (address(listen)?, address(to)?);
    if !listen.ip().is_loopback() || !to.ip().is_loopback() || header.contains(['\r', '\n']) {
        return Err(io::Error::other(
            "both addresses have to be loopback, and the header one line",
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(listen, to, format!("{header}\r\n").into()))
}

async fn serve(listen: SocketAddr, to: SocketAddr, header: Arc<str>) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    writeln!(io::stdout(), "http://{}", listener.local_addr()?)?;
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let (client, _) = listener.accept().await?;
        let permit = Arc::clone(&connections).acquire_owned().await.map_err(io::Error::other)?;
        let header = Arc::clone(&header);
        tokio::spawn(async move {
            // Whatever breaks, both sides see a connection that ends.
            forward(client, to, &header).await.ok();
            drop(permit);
        });
    }
}

async fn forward(client: TcpStream, to: SocketAddr, header: &str) -> io::Result<()> {
    let server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = async {
        tokio::io::copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    let requests = async {
        let done = requests(BufReader::new(from_client), &mut to_server, header).await;
        to_server.shutdown().await?;
        done
    };
    // The server's end is the end; the client's is passed on, and the server then ends.
    tokio::pin!(answers);
    tokio::select! {
        done = &mut answers => done,
        done = requests => {
            done?;
            answers.await
        }
    }
}

/// Passes on requests, one after the other, until the client hangs up.
async fn requests(
    mut from: BufReader<impl AsyncRead + Unpin>,
    to: &mut (impl AsyncWrite + Unpin),
    header: &str,
) -> io::Result<()> {
    loop {
        let Some(head) = head(&mut from).await? else { return Ok(()) };
        let mut lines = head.split_inclusive(|byte| *byte == b'\n');
        to.write_all(lines.next().unwrap_or_default()).await?;
        to.write_all(header.as_bytes()).await?;
        let rest: Vec<u8> = lines.flatten().copied().collect();
        to.write_all(&rest).await?;
        match body(&rest) {
            Body::Bytes(length) => pass(&mut from, to, length).await?,
            Body::Chunks => chunks(&mut from, to).await?,
        }
        to.flush().await?;
    }
}

enum Body {
    Bytes(u64),
    Chunks,
}

/// What the header lines say of the body.
fn body(headers: &[u8]) -> Body {
    let text = String::from_utf8_lossy(headers).to_ascii_lowercase();
    let field = |name| {
        let values = text.lines().filter_map(|line| line.split_once(':'));
        values.filter(|(known, _)| *known == name).map(|(_, value)| value.trim().to_owned()).next()
    };
    match (field("transfer-encoding"), field("content-length")) {
        (Some(encoding), _) if encoding.contains("chunked") => Body::Chunks,
        (_, length) => Body::Bytes(length.and_then(|it| it.parse().ok()).unwrap_or_default()),
    }
}

/// A head with its empty line; nothing where the client has hung up.
async fn head(from: &mut BufReader<impl AsyncRead + Unpin>) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if line(from, &mut head).await? == 0 {
            return if head.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    }
    Ok(Some(head))
}

async fn line(
    from: &mut BufReader<impl AsyncRead + Unpin>,
    into: &mut Vec<u8>,
) -> io::Result<usize> {
    let left = HEAD_BYTES.saturating_sub(into.len());
    if left == 0 {
        return Err(io::Error::other("a head is too long"));
    }
    from.take(left as u64).read_until(b'\n', into).await
}

async fn chunks(
    from: &mut BufReader<impl AsyncRead + Unpin>,
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    loop {
        let mut size = Vec::new();
        line(from, &mut size).await?;
        to.write_all(&size).await?;
        let text = String::from_utf8_lossy(&size);
        let digits = text.split(';').next().unwrap_or_default().trim();
        match u64::from_str_radix(digits, 16).map_err(io::Error::other)? {
            0 => break,
            // With the line end behind it.
            length => pass(from, to, length.saturating_add(2)).await?,
        }
    }
    // Trailers, up to the empty line.
    loop {
        let mut trailer = Vec::new();
        line(from, &mut trailer).await?;
        to.write_all(&trailer).await?;
        if trailer.is_empty() || trailer == b"\r\n" {
            return Ok(());
        }
    }
}

async fn pass(
    from: &mut BufReader<impl AsyncRead + Unpin>,
    to: &mut (impl AsyncWrite + Unpin),
    length: u64,
) -> io::Result<()> {
    let passed = tokio::io::copy(&mut from.take(length), to).await?;
    if passed == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
