___INFO___

{
  "type": "MACRO",
  "id": "cvt_temp_public_id",
  "version": 1,
  "securityGroups": [],
  "displayName": "Lower case",
  "description": "Say in one sentence what it does.",
  "containerContexts": [
    "SERVER"
  ]
}

___TEMPLATE_PARAMETERS___

[
  {
    "type": "TEXT",
    "name": "keyPath",
    "displayName": "keyPath",
    "simpleValueType": true,
    "valueValidators": [
      {
        "type": "NON_EMPTY"
      }
    ]
  }
]

___SANDBOXED_JS_FOR_SERVER___

const getEventData = require('getEventData');
const makeString = require('makeString');

const value = getEventData(data.keyPath);
if (value === undefined) {
  return undefined;
}
return makeString(value).toLowerCase();

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
  }
]

___TESTS___

scenarios:
- name: A text is in lower case
  code: |-
    mock('getEventData', 'EUR');
    assertThat(runCode({keyPath: 'currency'})).isEqualTo('eur');
- name: What is missing stays undefined
  code: |-
    mock('getEventData', undefined);
    assertThat(runCode({keyPath: 'currency'})).isUndefined();

___NOTES___
