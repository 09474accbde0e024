//! What devices ask of the server: registration and images.

use std::net::SocketAddr;

use coap::{Code, ExchangeId, Request, Response};
use lwm2m::{RegisterRequest, RegistrationError, RegistrationId, RegistryRefusal, UpdateRequest};
use model::Time;

use crate::Engine;

/// Links of the server's own resources (RFC 6690), for discovery by `/.well-known/core`.
const WELL_KNOWN_CORE: &str = "</rd>;rt=\"oma.lwm2m\",</fw>";

impl Engine {
    /// Answers one request of a device.
    pub(crate) fn serve(
        &mut self,
        exchange: ExchangeId,
        peer: SocketAddr,
        request: &Request,
        now: Time,
    ) {
        let segments: Vec<&str> = request.path().collect();
        let response = match (request.method, segments.as_slice()) {
            (Code::POST, ["rd"]) => self.serve_register(peer, request, now),
            (Code::POST, ["rd", _]) => self.serve_update(peer, request, now),
            (Code::DELETE, ["rd", _]) => self.serve_deregister(request, now),
            (Code::GET, ["fw", name]) => self.serve_image(peer, name, None, request, now),
            (Code::GET, ["fw", name, token]) => {
                self.serve_image(peer, name, Some(token), request, now)
            }
            (Code::GET, [".well-known", "core"]) => Response::new(Code::CONTENT)
                .content_format(lwm2m::ContentFormat::LINK.0)
                .payload(WELL_KNOWN_CORE),
            (_, ["rd" | "fw"] | ["rd" | "fw", _] | ["fw", _, _] | [".well-known", "core"]) => {
                Response::new(Code::METHOD_NOT_ALLOWED)
            }
            _ => Response::new(Code::NOT_FOUND),
        };
        self.endpoint.respond(exchange, response, now.since_origin());
    }

    fn serve_register(&mut self, peer: SocketAddr, request: &Request, now: Time) -> Response {
        match RegisterRequest::parse(request) {
            Ok(register) => match self.register(register, peer, now) {
                Ok(id) => {
                    let [directory, name] = id.location();
                    Response::new(Code::CREATED).location(&[&directory, &name])
                }
                Err(refusal) => self.refuse(&refusal),
            },
            Err(error) => self.refuse_malformed(&error),
        }
    }

    fn serve_update(&mut self, peer: SocketAddr, request: &Request, now: Time) -> Response {
        let Some(id) = RegistrationId::of_request(request) else {
            return Response::new(Code::NOT_FOUND);
        };
        match UpdateRequest::parse(request) {
            Ok(update) => match self.update_registration(id, update, peer, now) {
                Ok(()) => Response::new(Code::CHANGED),
                Err(refusal) => self.refuse(&refusal),
            },
            Err(error) => self.refuse_malformed(&error),
        }
    }

    fn serve_deregister(&mut self, request: &Request, now: Time) -> Response {
        let ended =
            RegistrationId::of_request(request).is_some_and(|id| self.end_registration(id, now));
        Response::new(if ended { Code::DELETED } else { Code::NOT_FOUND })
    }

    /// Serves one block of an image; the endpoint cuts it out, so no transfer has any state.
    fn serve_image(
        &mut self,
        peer: SocketAddr,
        name: &str,
        token: Option<&str>,
        request: &Request,
        now: Time,
    ) -> Response {
        let path = format!("/fw/{name}");
        let Some(image) = self.images.get(&path) else {
            return Response::new(Code::NOT_FOUND);
        };
        let response = Response::new(Code::CONTENT)
            .content_format(lwm2m::ContentFormat::OPAQUE.0)
            .etag(image.tag)
            .payload(image.bytes.clone());
        self.statistics.image_blocks += 1;
        let block =
            request.options.first(coap::OptionNumber::BLOCK2).and_then(coap::BlockValue::decode);
        if let Some(device) = self.puller(peer, &path, token) {
            self.image_moved(device, block.map_or(0, coap::BlockValue::offset), now);
        }
        response
    }

    fn refuse(&mut self, refusal: &RegistryRefusal) -> Response {
        self.statistics.registrations_refused += 1;
        Response::new(refusal.code()).payload(refusal.to_string())
    }

    fn refuse_malformed(&mut self, error: &RegistrationError) -> Response {
        self.statistics.registrations_refused += 1;
        Response::new(error.code()).payload(error.to_string())
    }
}
