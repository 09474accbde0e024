// An LwM2M device made of lwm2m-node-lib, which knows single resources only and sends its
// registration without a Content-Format. Usage: lwm2m-node-lib.js PORT ENDPOINT
'use strict';
const { client } = require('lwm2m-node-lib');

const [port, endpoint] = process.argv.slice(2);
const resources = { 0: 'Telefonica', 1: 'node-lib', 3: '0.9.0', 9: '81', 18: 'A' };

client.init({
    logLevel: 'FATAL',
    client: {
        lifetime: '300', version: '1.0', logLevel: 'FATAL', ipProtocol: 'udp4',
        serverProtocol: 'udp4', observe: { period: 3000 },
        formats: [{ name: 'lightweightm2m/text', value: 1541 }],
        writeFormat: 'lightweightm2m/text',
    },
});
const then = (step) => (error, result) => {
    if (error) {
        console.log(`error ${error.name}: ${error.message}`);
    } else {
        step(result);
    }
};
const next = (ids) => {
    if (ids.length > 0) {
        client.registry.setResource('/3/0', ids[0], resources[ids[0]], then(() => next(ids.slice(1))));
        return;
    }
    client.register('127.0.0.1', port, '', endpoint, then((device) => {
        const taken = (type, id, resource, value, done) => {
            console.log(`taken /${type}/${id}/${resource} ${value}`);
            done(null);
        };
        client.setHandler(device.serverInfo, 'write', taken);
        client.setHandler(device.serverInfo, 'execute', taken);
        console.log(`registered ${device.location}`);
    }));
};
client.registry.create('/3/0', then(() => next(Object.keys(resources))));
