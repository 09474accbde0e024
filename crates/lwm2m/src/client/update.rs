//! Downloads, and the firmware object's place in the client.

use std::time::Duration;

use bytes::Bytes;
use coap::{Code, Failure, RequestId, Response};

use super::firmware::{FirmwareEffect, FirmwareObject, FirmwareRefusal, ImageId};
use super::uri::{CoapUri, UriError};
use super::{Client, DownloadFailure, Event, ObjectTree};
use crate::firmware::{self, Protocol, UpdateResult};
use crate::{Leaf, LwM2mVersion, ObjectVersion, Operations, Path, Value, ValueKind};

/// A GET on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Download {
    request: RequestId,
    for_firmware: bool,
}

/// Why a download cannot start; the fault is the caller's.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DownloadRefused {
    /// The URI cannot be fetched.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// The message layer has no room.
    #[error(transparent)]
    Request(#[from] coap::RequestRefused),
}

/// Firmware update, as seen by the owner of the client.
impl Client {
    /// Returns the firmware object, when the client was created with one.
    #[must_use]
    pub fn firmware(&self) -> Option<&FirmwareObject> {
        self.firmware.as_deref()
    }

    /// Accepts an image: the state becomes Downloaded. Tells whether the verdict was awaited.
    pub fn accept_image(&mut self, id: ImageId, now: Duration) -> bool {
        self.firmware_step(now, |firmware| firmware.accept(id))
    }

    /// Refuses an image with a result such as
    /// [`IntegrityFailure`](UpdateResult::IntegrityFailure). Tells whether the verdict was awaited.
    pub fn reject_image(&mut self, id: ImageId, result: UpdateResult, now: Duration) -> bool {
        self.firmware_step(now, |firmware| firmware.reject(id, result))
    }

    /// Reports that the device now runs `version`. Tells whether an installation was running.
    ///
    /// The owner sets `/3/0/3` as well, where the device shows what it runs.
    pub fn install_succeeded(&mut self, version: &str, now: Duration) -> bool {
        self.firmware_step(now, |firmware| firmware.install_succeeded(version))
    }

    /// Reports that the installation failed or was deferred, and whether the image is still there
    /// for another Execute. Tells whether an installation was running.
    pub fn install_failed(
        &mut self,
        result: UpdateResult,
        image_kept: bool,
        now: Duration,
    ) -> bool {
        self.firmware_step(now, |firmware| firmware.install_failed(result, image_kept))
    }

    /// Fetches a `coap://` URI with an IP literal for a host, of at most `bytes_max` bytes.
    ///
    /// Ends with [`Event::Downloaded`] or [`Event::DownloadFailed`].
    pub fn get(
        &mut self,
        uri: &str,
        bytes_max: usize,
        now: Duration,
    ) -> Result<RequestId, DownloadRefused> {
        let uri = CoapUri::parse(uri)?;
        let request = self.fetch(&uri, bytes_max, false, now)?;
        self.settle(now);
        Ok(request)
    }

    fn firmware_step(
        &mut self,
        now: Duration,
        step: impl FnOnce(&mut FirmwareObject) -> bool,
    ) -> bool {
        let done = self.firmware.as_deref_mut().is_some_and(step);
        self.run_firmware(now);
        self.settle(now);
        done
    }
}

impl Client {
    /// Writes Package or Package URI; nothing for other resources.
    pub(super) fn write_firmware(&mut self, leaf: &Leaf) -> Option<Result<(), Code>> {
        let firmware = self.firmware.as_deref_mut()?;
        let outcome = match (leaf.path, &leaf.value) {
            (firmware::PACKAGE, Value::Opaque(package)) => firmware.write_package(package.clone()),
            (firmware::PACKAGE_URI, Value::String(uri)) => firmware.write_uri(uri),
            _ => return None,
        };
        Some(outcome.map_err(code))
    }

    /// Executes Update or Cancel; nothing for other resources.
    pub(super) fn execute_firmware(&mut self, path: Path) -> Option<Result<(), Code>> {
        let firmware = self.firmware.as_deref_mut()?;
        let outcome = match path {
            firmware::UPDATE => firmware.execute_update(),
            firmware::CANCEL => firmware.execute_cancel(),
            _ => return None,
        };
        Some(outcome.map_err(code))
    }

    /// Shows the firmware object in the tree and does what it asks for, until it is content.
    pub(super) fn run_firmware(&mut self, now: Duration) {
        loop {
            self.show_firmware(now);
            let effect = self.firmware.as_deref_mut().and_then(FirmwareObject::poll_effect);
            match effect {
                None => return,
                Some(FirmwareEffect::StopDownload) => self.stop_download(now),
                Some(FirmwareEffect::StartDownload(uri)) => self.start_download(&uri, now),
                Some(FirmwareEffect::CheckImage { id, image }) => {
                    self.events.push_back(Event::ImageReceived { id, image });
                }
                Some(FirmwareEffect::Install) => self.events.push_back(Event::InstallRequested),
            }
        }
    }

    /// Takes an answer when it belongs to a download.
    pub(super) fn download_response(&mut self, id: RequestId, response: Response, now: Duration) {
        let Some(download) = self.finish_download(id) else { return };
        let content = match response.code {
            Code::CONTENT => Ok(response.payload),
            code => Err(DownloadFailure::Refused(code)),
        };
        self.downloaded(download, content, now);
    }

    /// Takes the failure of a request when it belongs to a download.
    pub(super) fn download_failure(&mut self, id: RequestId, failure: Failure, now: Duration) {
        if let Some(download) = self.finish_download(id) {
            self.downloaded(download, Err(DownloadFailure::Failed(failure)), now);
        }
    }

    pub(super) fn download_progress(&mut self, id: RequestId, bytes: usize) {
        if self.downloads.iter().any(|download| download.request == id) {
            self.events.push_back(Event::Progress { request: id, bytes });
        }
    }

    fn downloaded(
        &mut self,
        download: Download,
        content: Result<Bytes, DownloadFailure>,
        now: Duration,
    ) {
        if !download.for_firmware {
            let request = download.request;
            self.events.push_back(match content {
                Ok(content) => Event::Downloaded { request, content },
                Err(cause) => Event::DownloadFailed { request, cause },
            });
            return;
        }
        if let Some(firmware) = self.firmware.as_deref_mut() {
            match content {
                Ok(image) => firmware.download_complete(image),
                Err(cause) => firmware.download_failed(result(cause)),
            };
        }
        self.run_firmware(now);
    }

    fn start_download(&mut self, uri: &CoapUri, now: Duration) {
        self.stop_download(now);
        let bytes_max = self.firmware.as_deref().map_or(0, FirmwareObject::image_bytes_max);
        let started = self.fetch(uri, bytes_max, true, now);
        if started.is_err()
            && let Some(firmware) = self.firmware.as_deref_mut()
        {
            firmware.download_failed(UpdateResult::OutOfRam);
        }
    }

    fn stop_download(&mut self, now: Duration) {
        let stopped = self.downloads.iter().position(|download| download.for_firmware);
        if let Some(at) = stopped {
            let download = self.downloads.swap_remove(at);
            self.coap.cancel(download.request, now);
        }
    }

    fn fetch(
        &mut self,
        uri: &CoapUri,
        bytes_max: usize,
        for_firmware: bool,
        now: Duration,
    ) -> Result<RequestId, coap::RequestRefused> {
        let request = uri.request().body_bytes_max(bytes_max);
        let request = self.coap.request(uri.peer(), request, now)?;
        self.downloads.push(Download { request, for_firmware });
        self.contact(now);
        Ok(request)
    }

    fn finish_download(&mut self, id: RequestId) -> Option<Download> {
        let at = self.downloads.iter().position(|download| download.request == id)?;
        Some(self.downloads.swap_remove(at))
    }

    /// Brings the resources of object 5 up to date. The result comes before the state, also in the
    /// order of notifications, so that a server that acts on the state knows the result.
    fn show_firmware(&mut self, now: Duration) {
        let Some(firmware) = self.firmware.as_deref() else { return };
        let (state, result) = (firmware.state(), firmware.result());
        let values = [
            (firmware::PACKAGE_URI, Value::String(firmware.uri().to_owned())),
            (firmware::VERSION, Value::String(firmware.version().to_owned())),
            (firmware::RESULT, result.into()),
            (firmware::STATE, state.into()),
        ];
        let mut told = false;
        for (path, value) in values {
            if matches!(self.objects.set(path, value), Ok(true)) {
                told |= path == firmware::STATE || path == firmware::RESULT;
                self.touched(path);
                self.notify_due(now);
            }
        }
        if told {
            self.events.push_back(Event::FirmwareChanged { state, result });
        }
    }
}

/// Puts the resources of object 5 into a tree (LwM2M Core 1.1, E.6).
///
/// Its version 1.1 adds Cancel; with LwM2M 1.0 it stays at 1.0, whose servers may not even read a
/// list of objects that has versions.
pub(super) fn furnish(objects: &mut ObjectTree, firmware: &FirmwareObject, lwm2m: LwM2mVersion) {
    let text = |text: &str| Value::String(text.to_owned());
    let coap = vec![(0, Value::from(Protocol::Coap))];
    objects
        .single(firmware::PACKAGE, Operations::Write, Value::Opaque(Bytes::new()))
        .single(firmware::PACKAGE_URI, Operations::ReadWrite, text(firmware.uri()))
        .executable(firmware::UPDATE)
        .single(firmware::STATE, Operations::Read, firmware.state().into())
        .single(firmware::RESULT, Operations::Read, firmware.result().into())
        .single(firmware::NAME, Operations::Read, text(firmware.name()))
        .single(firmware::VERSION, Operations::Read, text(firmware.version()))
        .multiple(firmware::PROTOCOLS, Operations::Read, ValueKind::Integer, coap)
        .single(firmware::DELIVERY_METHOD, Operations::Read, firmware.delivery().into());
    if lwm2m != LwM2mVersion::V1_0 {
        objects.object(5, ObjectVersion::new(1, 1)).executable(firmware::CANCEL);
    }
}

fn code(refusal: FirmwareRefusal) -> Code {
    match refusal {
        FirmwareRefusal::NotAllowed => Code::METHOD_NOT_ALLOWED,
        FirmwareRefusal::BadRequest => Code::BAD_REQUEST,
    }
}

/// Translates a failed pull (LwM2M Core 1.1, E.6, Update Result): what the file server refuses is
/// a wrong URI, unless it is the server that is in trouble.
fn result(cause: DownloadFailure) -> UpdateResult {
    match cause {
        DownloadFailure::Refused(code) if code.class() == 5 => UpdateResult::ConnectionLost,
        DownloadFailure::Refused(_) => UpdateResult::InvalidUri,
        DownloadFailure::Failed(Failure::TooLarge) => UpdateResult::NotEnoughFlash,
        DownloadFailure::Failed(_) => UpdateResult::ConnectionLost,
    }
}
