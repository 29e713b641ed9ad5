"""Dataverse: Dynamics 365 Sales (and Marketing's campaigns), by the web hooks of the plug-in registration tool.

Facts, from Microsoft Learn "Use webhooks to create external handlers for server events" [1], "Register a WebHook" [2],
the RemoteExecutionContext class reference [3] and "Default status and status reason values" [4]:
- One POST per operation and registered step. The body is a RemoteExecutionContext in JSON [1]: MessageName, PrimaryEntityName,
  PrimaryEntityId, Stage (40 = after the operation), OperationCreatedOn, InputParameters, OutputParameters, PreEntityImages and
  PostEntityImages as lists of {key, value}. Entities hold Attributes as {key, value}; Money, OptionSetValue and
  EntityReference say their `__type`, times are `/Date(milliseconds of UTC, and an offset that changes nothing)/`.
- An Update's Target has only the columns that were set; images have the columns that their registration lists, before and
  after [2]. ParentContext repeats the operation that caused this one, which has steps of its own: it is not read.
- Authentication is a header or a query key of one's choice, `code` for the kind "WebhookKey"; nothing is signed [2].
- Beyond 256 kB the header x-ms-dynamics-msg-size-exceeded comes, and parameters, images and ParentContext are left out [1].
- Only the status code of the answer is looked at, for at most 60 seconds. 502, 503 and 504 are tried once more; any other
  failure fails the system job, where an administrator finds it (synchronous steps: the user's operation fails) [1].
- Order is not promised. modifiedon counts whole seconds; `versionnumber`, where an image has it, orders within one.
- No id is promised to be the same in a repetition: equal content at one time of one record is one statement.
- Default states [4] are in `mapping`; the currency comes as a reference without its ISO code.
"""

from __future__ import annotations

from service.intake.senders.contract import Kind
from service.intake.senders.dataverse.mapping import check_mapping
from service.intake.senders.dataverse.reading import read
from service.intake.senders.dataverse.rules import lookups, translate, unsaid

KIND = Kind(
    name="dataverse",
    about="Dynamics 365 Sales (Dataverse): web hooks of the plug-in registration tool",
    check_mapping=check_mapping,
    read=read,
    translate=translate,
    lookups=lookups,
    unsaid=unsaid,
    authentication={"scheme": "token", "header": "x-api-key", "query": "code"},
)
