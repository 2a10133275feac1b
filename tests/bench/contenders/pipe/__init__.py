"""The bare pipe: as many Kafka records and database rows as an order of ours makes, no logic, no HTTP.

Counted by hand from the code of the services (a shop order, `add` of FIBRE). Rows are those inserted or updated, with
watermark (`consumed`), sequence (`published`), outbox and jobs; here each is an insert. The 13 rows of outbox and jobs
that are deleted again are left out, and so are reads.

service      | on                  | rows                                                                 | records
--------------|---------------------|----------------------------------------------------------------------|-------------
intake       | a POST              | 11: order, reference, idempotency, subscription, customer, evidence, | customers
             |                     | job, 2 published, 2 outbox                                           | orders
             | SubscriptionChanged | 3: consumed, subscription, order                                     |
             | ChargesStarted      | 5: consumed, subscription, order, published, outbox                  | orders
provisioning | OrderConfirmed      | 8: consumed, change, subscription, job; change, subscription,        | subscrip-
             |                     | published, outbox                                                    | tions
             | OrderCompleted      | 1: consumed                                                          |
billing      | SubscriptionChanged | 7: consumed, subscription, 2 lines, job, published, outbox           | invoices
             | OrderConfirmed      | 1: consumed                                                          |
             | OrderCompleted      | 4: consumed, commission, published, outbox                           | commissions
notification | CustomerRecorded    | 2: consumed, customer                                                |
             | OrderConfirmed      | 6: consumed, notice, job; notice, published, outbox                  | notices
             | OrderCompleted      | 11: consumed, 2 notices, 2 jobs; 2 notices, 2 published, 2 outbox    | 2 notices
review       | OrderConfirmed      | 2: consumed, seen                                                    |
             | OrderCompleted      | 2: consumed, seen                                                    |
together     |                     | 63                                                                   | 9

`python -m tests.bench.contenders.pipe --orders N --window W` runs N orders, W of them in flight, and prints one line:
`seconds` from the first record to the last OrderCompleted, and `cpu_seconds` of all its processes from there to the
last row, without their start.
"""
