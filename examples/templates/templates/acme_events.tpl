___INFO___

{
  "type": "TAG",
  "id": "cvt_temp_public_id",
  "version": 1,
  "securityGroups": [],
  "displayName": "Acme events",
  "description": "Say in one sentence what it does.",
  "containerContexts": [
    "SERVER"
  ]
}

___TEMPLATE_PARAMETERS___

[
  {
    "type": "TEXT",
    "name": "accountId",
    "displayName": "accountId",
    "simpleValueType": true,
    "valueValidators": [
      {
        "type": "NON_EMPTY"
      }
    ]
  }
]

___SANDBOXED_JS_FOR_SERVER___

const getAllEventData = require('getAllEventData');
const JSON = require('JSON');
const logToConsole = require('logToConsole');
const sendHttpRequest = require('sendHttpRequest');

const event = getAllEventData();
const body = JSON.stringify({account: data.accountId, name: event.event_name, page: event.page_location});
const options = {method: 'POST', headers: {'Content-Type': 'application/json'}, timeout: 3000};

sendHttpRequest('https://api.example.com/events', options, body).then(
  answer => {
    if (answer.statusCode >= 200 && answer.statusCode < 300) {
      data.gtmOnSuccess();
    } else {
      logToConsole('refused with', answer.statusCode);
      data.gtmOnFailure();
    }
  },
  data.gtmOnFailure);

___SERVER_PERMISSIONS___

[
  {
    "instance": {
      "key": {
        "publicId": "read_event_data",
        "versionId": "1"
      },
      "param": [
        {
          "key": "eventDataAccess",
          "value": {
            "type": 1,
            "string": "any"
          }
        }
      ]
    },
    "isRequired": true
  },
  {
    "instance": {
      "key": {
        "publicId": "send_http",
        "versionId": "1"
      },
      "param": [
        {
          "key": "allowedUrls",
          "value": {
            "type": 1,
            "string": "specific"
          }
        },
        {
          "key": "urls",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 1,
                "string": "https://api.example.com/*"
              }
            ]
          }
        }
      ]
    },
    "isRequired": true
  },
  {
    "instance": {
      "key": {
        "publicId": "logging",
        "versionId": "1"
      },
      "param": [
        {
          "key": "environments",
          "value": {
            "type": 1,
            "string": "debug"
          }
        }
      ]
    },
    "isRequired": true
  }
]

___TESTS___

scenarios:
- name: An event is sent with the account
  code: |-
    mock('getAllEventData', {event_name: 'purchase', page_location: 'https://shop.example/'});
    mock('sendHttpRequest', (url, options, body) => {
      const sent = require('JSON').parse(body);
      assertThat(sent.account).isEqualTo('A-1');
      assertThat(sent.name).isEqualTo('purchase');
      return Promise.create(resolve => resolve({statusCode: 200}));
    });
    runCode({accountId: 'A-1'});
    require('callLater')(() => assertApi('gtmOnSuccess').wasCalled());
- name: A refusal is a failure
  code: |-
    mock('sendHttpRequest', () => Promise.create(resolve => resolve({statusCode: 400})));
    runCode({accountId: 'A-1'});
    require('callLater')(() => assertApi('gtmOnFailure').wasCalled());

___NOTES___
