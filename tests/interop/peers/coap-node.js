// An LwM2M device made of coap-node. Usage: coap-node.js PORT ENDPOINT
'use strict';
const CoapNode = require('coap-node');
const SmartObject = require('smartobject');

const [port, endpoint] = process.argv.slice(2);
const objects = new SmartObject();
objects.init('temperature', 0, { sensorValue: 21.5, units: 'C' });
objects.init('lightCtrl', 0, { onOff: false });
objects.init('actuation', 0, {
    onOff: {
        exec: (...all) => {
            const done = all.pop();
            console.log(`executed (${all})`);
            done(null, 'done');
        },
    },
});
const device = new CoapNode(endpoint, objects, {
    manuf: 'Sivann', model: 'cnode-01', firmware: '1.0.0', hwVer: 'B', lifetime: 300,
});
device.register('127.0.0.1', Number(port), (error, answer) => {
    console.log(error ? `error ${error}` : `registered ${answer.status}`);
});
// `set NUMBER` on standard input changes the temperature.
process.stdin.on('data', (line) => {
    const [, value] = String(line).split(' ');
    objects.write('temperature', 0, 'sensorValue', Number(value), () => {});
});
