// Every operation that Gantry has, and the waiters and paginators, with the AWS SDK for JavaScript.
// ENDPOINT and the usual AWS_* variables say where to. Says "ok" when all was as it should be.
import assert from 'node:assert/strict';
import * as ecr from '@aws-sdk/client-ecr';
import * as ecs from '@aws-sdk/client-ecs';
import * as logs from '@aws-sdk/client-cloudwatch-logs';
import * as sts from '@aws-sdk/client-sts';

const where = { endpoint: process.env.ENDPOINT, region: 'us-east-1', maxAttempts: 1 };
const clients = new Map([
  [ecs, new ecs.ECSClient(where)],
  [ecr, new ecr.ECRClient(where)],
  [logs, new logs.CloudWatchLogsClient(where)],
  [sts, new sts.STSClient(where)],
]);
const call = (sdk, op, input = {}, client = clients.get(sdk)) =>
  client.send(new sdk[op + 'Command'](input));
const refused = (code, ...args) =>
  assert.rejects(call(...args), (e) => (assert.equal(e.name, code), e.$metadata.requestId !== undefined));
const wait = { client: clients.get(ecs), maxWaitTime: 60, minDelay: 1, maxDelay: 1 };

async function identity() {
  const me = await call(sts, 'GetCallerIdentity');
  assert.equal(me.Arn, `arn:aws:iam::${me.Account}:root`);
  await refused('UnsupportedOperation', sts, 'GetFederationToken', { Name: 'xx' });
  const bad = { ...where, credentials: { accessKeyId: 'AKIANOBODY', secretAccessKey: 'x' } };
  await refused('InvalidClientTokenId', sts, 'GetCallerIdentity', {}, new sts.STSClient(bad));
  await refused('UnrecognizedClientException', ecs, 'ListClusters', {}, new ecs.ECSClient(bad));
}

async function clusters() {
  for (const clusterName of ['js1', 'js2', 'js3']) {
    const made = await call(ecs, 'CreateCluster', { clusterName, tags: [{ key: 'a', value: 'b' }] });
    assert.equal(made.cluster.status, 'ACTIVE');
  }
  const pages = [];
  for await (const p of ecs.paginateListClusters({ client: clients.get(ecs), pageSize: 2 }, {})) {
    pages.push(p.clusterArns.length);
  }
  assert.deepEqual(pages, [2, 2]);
  const include = ['TAGS', 'SETTINGS', 'STATISTICS', 'CONFIGURATIONS', 'ATTACHMENTS'];
  const seen = await call(ecs, 'DescribeClusters', { clusters: ['js1', 'nope'], include });
  assert.deepEqual(seen.clusters[0].tags, [{ key: 'a', value: 'b' }]);
  assert.equal(seen.failures[0].reason, 'MISSING');
  for (const cluster of ['js1', 'js2', 'js3']) {
    assert.equal((await call(ecs, 'DeleteCluster', { cluster })).cluster.status, 'INACTIVE');
  }
  await refused('ClusterNotFoundException', ecs, 'ListTasks', { cluster: 'js1' });
}

async function definitions() {
  const containerDefinitions = [{ name: 'c', image: 'i', memory: 64 }];
  const made = await call(ecs, 'RegisterTaskDefinition', { family: 'js', containerDefinitions, tags: [{ key: 'x', value: 'y' }] });
  const { taskDefinition, tags } = await call(ecs, 'DescribeTaskDefinition', { taskDefinition: 'js', include: ['TAGS'] });
  assert.deepEqual(taskDefinition, made.taskDefinition);
  assert.ok(Math.abs(taskDefinition.registeredAt - new Date()) < 60000);
  assert.deepEqual(tags, made.tags);
  assert.deepEqual((await call(ecs, 'ListTaskDefinitionFamilies')).families, ['js']);
  const listed = await call(ecs, 'ListTaskDefinitions', { familyPrefix: 'js', sort: 'DESC', status: 'ACTIVE' });
  assert.deepEqual(listed.taskDefinitionArns, [taskDefinition.taskDefinitionArn]);
}

async function tasks() {
  const input = { taskDefinition: 'js', count: 2, startedBy: 'js', propagateTags: 'TASK_DEFINITION' };
  const run = await call(ecs, 'RunTask', { ...input, clientToken: 'once' });
  const again = await call(ecs, 'RunTask', { ...input, clientToken: 'once' });
  const arns = run.tasks.map((t) => t.taskArn);
  assert.deepEqual(again.tasks.map((t) => t.taskArn), arns);
  assert.equal((await ecs.waitUntilTasksRunning(wait, { tasks: arns })).state, 'SUCCESS');
  const { containerInstanceArns } = await call(ecs, 'ListContainerInstances');
  const node = (await call(ecs, 'DescribeContainerInstances', { containerInstances: containerInstanceArns, include: ['TAGS', 'CONTAINER_INSTANCE_HEALTH'] })).containerInstances[0];
  assert.equal(node.runningTasksCount, 2);
  const started = await call(ecs, 'StartTask', { taskDefinition: 'js', containerInstances: containerInstanceArns });
  arns.push(started.tasks[0].taskArn);
  const listed = await call(ecs, 'ListTasks', { family: 'js', containerInstance: containerInstanceArns[0] });
  assert.deepEqual(listed.taskArns.sort(), [...arns].sort());
  for (const task of arns) {
    assert.equal((await call(ecs, 'StopTask', { task, reason: 'js' })).task.desiredStatus, 'STOPPED');
  }
  assert.equal((await ecs.waitUntilTasksStopped(wait, { tasks: arns })).state, 'SUCCESS');
  const dead = (await call(ecs, 'DescribeTasks', { tasks: arns, include: ['TAGS'] })).tasks[0];
  assert.deepEqual([dead.stoppedReason, dead.stopCode, dead.tags[0].key], ['js', 'UserInitiated', 'x']);
  assert.ok(dead.createdAt <= dead.startedAt && dead.startedAt <= dead.stoppedAt);
}

async function services() {
  const made = await call(ecs, 'CreateService', { serviceName: 'js', taskDefinition: 'js', desiredCount: 2 });
  assert.equal((await ecs.waitUntilServicesStable(wait, { services: ['js'] })).state, 'SUCCESS');
  const resourceArn = made.service.serviceArn;
  await call(ecs, 'TagResource', { resourceArn, tags: [{ key: 'k', value: 'v' }] });
  assert.equal((await call(ecs, 'ListTagsForResource', { resourceArn })).tags.length, 1);
  await call(ecs, 'UntagResource', { resourceArn, tagKeys: ['k'] });
  const updated = (await call(ecs, 'UpdateService', { service: 'js', desiredCount: 1, forceNewDeployment: true })).service;
  assert.equal(updated.deployments.length, 2);
  assert.equal((await ecs.waitUntilServicesStable(wait, { services: ['js'] })).state, 'SUCCESS');
  assert.deepEqual((await call(ecs, 'ListServices')).serviceArns, [resourceArn]);
  await refused('InvalidParameterException', ecs, 'DeleteService', { service: 'js' });
  await call(ecs, 'DeleteService', { service: 'js', force: true });
  assert.equal((await ecs.waitUntilServicesInactive(wait, { services: ['js'] })).state, 'SUCCESS');
  const gone = await call(ecs, 'DescribeServices', { services: ['js'], include: ['TAGS'] });
  assert.equal(gone.services[0].status, 'INACTIVE');
  const last = await call(ecs, 'DeregisterTaskDefinition', { taskDefinition: 'js:1' });
  assert.equal(last.taskDefinition.status, 'INACTIVE');
  // in the model, in newer models, in nobody's
  await refused('UnsupportedFeatureException', ecs, 'ListServicesByNamespace', { namespace: 'x' });
  await refused('UnknownOperationException', ecs, 'DeleteTaskDefinitions', { taskDefinitions: ['js:1'] });
  await refused('UnknownOperationException', ecs, 'ListServiceDeployments', { service: 'js' });
}

async function streams() {
  const logGroupName = 'js', logStreamName = 's', timestamp = Date.now();
  const resourceArn = 'arn:aws:logs:us-east-1:000000000000:log-group:js';
  await call(logs, 'CreateLogGroup', { logGroupName, tags: { a: 'b' } });
  await refused('ResourceAlreadyExistsException', logs, 'CreateLogGroup', { logGroupName });
  await call(logs, 'CreateLogStream', { logGroupName, logStreamName });
  await call(logs, 'PutLogEvents', { logGroupName, logStreamName, logEvents: [{ timestamp, message: 'grüße' }] });
  const got = await call(logs, 'GetLogEvents', { logGroupName, logStreamName, startFromHead: true });
  assert.deepEqual([got.events[0].message, got.events[0].timestamp], ['grüße', timestamp]);
  const found = await call(logs, 'FilterLogEvents', { logGroupName, filterPattern: 'grüße' });
  assert.equal(found.events[0].logStreamName, 's');
  assert.equal((await call(logs, 'DescribeLogStreams', { logGroupName })).logStreams.length, 1);
  await call(logs, 'PutRetentionPolicy', { logGroupName, retentionInDays: 7 });
  assert.equal((await call(logs, 'DescribeLogGroups')).logGroups[0].retentionInDays, 7);
  await call(logs, 'DeleteRetentionPolicy', { logGroupName });
  await call(logs, 'TagResource', { resourceArn, tags: { c: 'd' } });
  assert.deepEqual((await call(logs, 'ListTagsForResource', { resourceArn })).tags, { a: 'b', c: 'd' });
  await call(logs, 'UntagResource', { resourceArn, tagKeys: ['c'] });
  await call(logs, 'DeleteLogStream', { logGroupName, logStreamName });
  await call(logs, 'DeleteLogGroup', { logGroupName });
}

async function images() {
  const repositoryName = 'js/x', imageIds = [{ imageTag: '1' }];
  const resourceArn = (await call(ecr, 'CreateRepository', { repositoryName })).repository.repositoryArn;
  await refused('RepositoryAlreadyExistsException', ecr, 'CreateRepository', { repositoryName });
  assert.equal((await call(ecr, 'DescribeRepositories')).repositories.length, 1);
  const [token] = (await call(ecr, 'GetAuthorizationToken')).authorizationData;
  assert.ok(atob(token.authorizationToken).startsWith('AWS:') && token.expiresAt > new Date());
  assert.deepEqual((await call(ecr, 'ListImages', { repositoryName })).imageIds, []);
  assert.deepEqual((await call(ecr, 'DescribeImages', { repositoryName })).imageDetails, []);
  for (const op of ['BatchGetImage', 'BatchDeleteImage']) {
    assert.equal((await call(ecr, op, { repositoryName, imageIds })).failures[0].failureCode, 'ImageNotFound');
  }
  await refused('ImageNotFoundException', ecr, 'DescribeImages', { repositoryName, imageIds });
  await call(ecr, 'PutImageTagMutability', { repositoryName, imageTagMutability: 'IMMUTABLE' });
  await call(ecr, 'TagResource', { resourceArn, tags: [{ Key: 'a', Value: 'b' }] });
  assert.equal((await call(ecr, 'ListTagsForResource', { resourceArn })).tags.length, 1);
  await call(ecr, 'UntagResource', { resourceArn, tagKeys: ['a'] });
  await call(ecr, 'DeleteRepository', { repositoryName });
  await refused('RepositoryNotFoundException', ecr, 'ListImages', { repositoryName });
}

for (const part of [identity, clusters, definitions, tasks, services, streams, images]) {
  await part();
}
console.log('ok');
