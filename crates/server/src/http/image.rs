//! Images of releases, on their way in.

use std::sync::Arc;

use api::{ArtifactReceipt, ProblemCode};
use axum::Json;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use bytes::Bytes;
use model::{Manifest, Sha256};
use store::ArtifactError;

use super::Site;
use super::answer::{Answer, Named, Refusal, announced, too_slow};

/// Stores an image; its bytes must have the digest in the path.
pub(super) async fn upload(
    State(site): State<Arc<Site>>,
    Named(name): Named,
    request: Request,
) -> Answer<ArtifactReceipt> {
    let sha256 = Sha256::try_from(name.to_ascii_lowercase())
        .map_err(|error| Refusal::told(ProblemCode::BadRequest, &error).field("sha256"))?;
    let bytes_max = site.artifacts.bytes_max();
    let length = announced(request.headers());
    if let Some(bytes) = length.filter(|length| *length > bytes_max) {
        return Err(ArtifactError::TooLarge { bytes, bytes_max }.into());
    }
    // Each upload holds its image in memory; more of them wait here, nothing of them is read.
    let permit = site.uploads.acquire().await.map_err(|_| crate::Unavailable::Stopping)?;
    let image = receive(request.into_body(), length, bytes_max).await?;
    let size = image.len() as u64;
    let artifacts = Arc::clone(&site.artifacts);
    let existed = site
        .block(move || {
            let existed = artifacts.length(sha256) == Some(size);
            artifacts.put(&image, sha256)?;
            Ok(existed)
        })
        .await?;
    drop(permit);
    Ok(Json(ArtifactReceipt { sha256: sha256.to_string(), size, existed }))
}

/// Collects an image, giving up as soon as it is longer than allowed or stands still.
async fn receive(body: Body, length: Option<u64>, bytes_max: u64) -> Result<Vec<u8>, Refusal> {
    let expected = length.unwrap_or_default().min(bytes_max);
    let mut image = Vec::with_capacity(usize::try_from(expected).unwrap_or_default());
    let mut body = std::pin::pin!(body);
    loop {
        let frame = std::future::poll_fn(|context| body.as_mut().poll_frame(context));
        let frame = tokio::time::timeout(STANDSTILL, frame).await.map_err(|_| too_slow())?;
        let Some(frame) = frame else { return Ok(image) };
        let broken = |error: axum::Error| {
            Refusal::new(ProblemCode::BadRequest, format!("the upload broke off: {error}"))
        };
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        let bytes = (image.len() + data.len()) as u64;
        if bytes > bytes_max {
            return Err(ArtifactError::TooLarge { bytes, bytes_max }.into());
        }
        image.extend_from_slice(&data);
    }
}

impl Site {
    /// The image that a manifest names, with its digest and its length checked; none for a
    /// configuration.
    pub(super) async fn image(
        &self,
        manifest: &Manifest,
    ) -> Result<Option<(Sha256, Bytes)>, Refusal> {
        let Some(artifact) = manifest.artifact.first() else { return Ok(None) };
        let (sha256, size) = (artifact.sha256, artifact.size);
        let artifacts = Arc::clone(&self.artifacts);
        let bytes = self.block(move || Ok(artifacts.read(sha256)?)).await.map_err(|refusal| {
            let missing = refusal.0.code == ProblemCode::ArtifactMissing;
            if missing {
                refusal.field("artifact.sha256").hint(format!(
                    "Upload it with PUT /api/v1/artifacts/{sha256}, or correct the manifest."
                ))
            } else {
                refusal.field("artifact")
            }
        })?;
        if bytes.len() as u64 != size {
            let message =
                format!("the image has {} bytes, and the manifest says {size}", bytes.len());
            return Err(Refusal::new(ProblemCode::DigestMismatch, message)
                .field("artifact.size")
                .hint("Correct `size` in the manifest."));
        }
        Ok(Some((sha256, bytes.into())))
    }
}

/// Longest wait for the next part of an upload.
const STANDSTILL: std::time::Duration = std::time::Duration::from_secs(30);
