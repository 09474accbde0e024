// An LwM2M server made of lwm2m-node-lib: reads, writes, observes and executes on every device
// that registers, and prints what came of it. Usage: lwm2m-node-lib-server.js PORT
'use strict';
const { server } = require('lwm2m-node-lib');

const port = Number(process.argv[2]);
const say = (...words) => console.log(words.join(' ').replace(/\n/g, ' '));

server.start({
    port, lifetimeCheckInterval: 1000, udpWindow: 100, defaultType: 'Device', types: [],
    logLevel: 'FATAL', ipProtocol: 'udp4', serverProtocol: 'udp4', formats: [],
    writeFormat: 'text/plain', defaultAcceptFormat: 'text/plain',
}, (error, started) => {
    if (error) {
        say('error', error.message);
        return;
    }
    server.setHandler(started, 'registration', (endpoint, lifetime, version, binding, links, done) => {
        say('registered', endpoint, lifetime, version, binding, links);
        done();
        // The answer to the registration goes first.
        setTimeout(() => ask(endpoint), 200);
    });
    server.setHandler(started, 'unregistration', (device, done) => {
        say('unregistered', device.name);
        done();
    });
    say('listening');
});

const ask = (endpoint) => server.getDevice(endpoint, (error, device) => {
    const answered = (what) => (failure, value) => say(endpoint, what, failure ? failure.name : value);
    for (const id of [0, 1, 3, 77]) {
        server.read(device.id, 3, 0, id, answered(`read /3/0/${id}`));
    }
    server.discover(device.id, 3, 0, answered('discover /3/0'));
    server.write(device.id, 1, 0, 1, '77', (failure) => {
        say(endpoint, 'write /1/0/1', failure ? failure.name : 'done');
        server.read(device.id, 1, 0, 1, answered('read /1/0/1'));
    });
    server.observe(device.id, 3, 0, 9, (value) => say(endpoint, 'notified', value), answered('observe /3/0/9'));
});
