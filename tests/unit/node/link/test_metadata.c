#include "gt_test.h"

#include "node/link/metadata.h"

GT_TEST(strings)
{
    static const struct {
        struct gt_str in;
        const char *want;
    } cases[] = {
        {GT_STR_LIT(""), "\"\""},
        {GT_STR_LIT("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\""},
        {GT_STR_LIT("\xc3\xa4\xf0\x9f\x98\x80"), "\"\xc3\xa4\xf0\x9f\x98\x80\""},
        {GT_STR_LIT("\xff\xc3"), "\"\\ufffd\\ufffd\""},
        {GT_STR_LIT("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\""}, /* a surrogate */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gt_auto_buf struct gt_buf b = GT_BUF_INIT(4096);
        meta_json_string(cases[i].in, &b);
        assert_string_equal(b.p, cases[i].want);
    }
}

GT_TEST(documents)
{
    const struct meta_port port = {80, 32768, "tcp", "0.0.0.0"};
    const struct meta_container c = {
        .runtime_id = GT_STR_LIT("r1"),
        .name = GT_STR_LIT("web"),
        .docker_name = GT_STR_LIT("web"),
        .image = GT_STR_LIT("nginx"),
        .image_id = GT_STR_LIT("sha256:1"),
        .ports = &port,
        .n_ports = 1,
        .desired_status = GT_STR_LIT("RUNNING"),
        .known_status = GT_STR_LIT("RUNNING"),
        .memory = 64,
        .started_at = 1000,
    };
    const struct meta_pair tag = {GT_STR_LIT("k"), GT_STR_LIT("v")};
    const struct meta_task t = {
        .cluster = GT_STR_LIT("default"),
        .arn = GT_STR_LIT("arn:t"),
        .family = GT_STR_LIT("web"),
        .revision = GT_STR_LIT("1"),
        .known_status = GT_STR_LIT("RUNNING"),
        .cpu = 0.25,
        .tags = &tag,
        .n_tags = 1,
        .network = {.mode = "awsvpc",
                    .ipv4 = GT_STR_LIT("10.200.1.4"),
                    .mac = GT_STR_LIT("02:00:00:00:00:01"),
                    .subnet = GT_STR_LIT("10.200.1.0/24")},
        .containers = &c,
        .n_containers = 1,
    };
    static const char labels[] =
        "\"Labels\":{\"com.amazonaws.ecs.cluster\":\"default\","
        "\"com.amazonaws.ecs.container-name\":\"web\",\"com.amazonaws.ecs.task-arn\":\"arn:t\","
        "\"com.amazonaws.ecs.task-definition-family\":\"web\","
        "\"com.amazonaws.ecs.task-definition-version\":\"1\"}";
    char want[2048];
    snprintf(want, sizeof want,
             "{\"Cluster\":\"default\",\"TaskARN\":\"arn:t\",\"Family\":\"web\",\"Revision\":\"1\","
             "\"KnownStatus\":\"RUNNING\",\"Limits\":{\"CPU\":0.25},\"TaskTags\":{\"k\":\"v\"},"
             "\"Containers\":[{\"DockerId\":\"r1\",\"Name\":\"web\",\"DockerName\":\"web\","
             "\"Image\":\"nginx\",\"ImageID\":\"sha256:1\",\"Ports\":[{\"ContainerPort\":80,"
             "\"Protocol\":\"tcp\",\"HostPort\":32768,\"HostIp\":\"0.0.0.0\"}],%s,"
             "\"DesiredStatus\":\"RUNNING\",\"KnownStatus\":\"RUNNING\","
             "\"Limits\":{\"CPU\":0,\"Memory\":64},\"StartedAt\":\"1970-01-01T00:00:01.000Z\","
             "\"Type\":\"NORMAL\",\"Networks\":[{\"NetworkMode\":\"awsvpc\","
             "\"IPv4Addresses\":[\"10.200.1.4\"],\"AttachmentIndex\":0,"
             "\"MACAddress\":\"02:00:00:00:00:01\",\"IPv4SubnetCIDRBlock\":\"10.200.1.0/24\"}]}],"
             "\"FaultInjectionEnabled\":false}",
             labels);
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4096);
    meta_task_write(&t, META_V4, /* with_tags= */ true, &b);
    assert_string_equal(b.p, want);

    gt_buf_reset(&b);
    meta_task_write(&t, META_V2, /* with_tags= */ false, &b);
    assert_null(strstr(b.p, "TaskTags"));
    assert_null(strstr(b.p, "MACAddress"));
    assert_null(strstr(b.p, "FaultInjection"));
}

GT_RUN(GT_CASE(strings), GT_CASE(documents))
