// boost::interprocess::message_queue behind a C interface. No exception leaves it.
#include <boost/interprocess/ipc/message_queue.hpp>
#include <cstdint>
#include <exception>
#include <string>

namespace ipc = boost::interprocess;

static thread_local std::string problem;

extern "C" void *boost_mq_open(const char *name, std::size_t capacity, std::size_t message_bytes) {
    try {
        if (capacity != 0) {
            ipc::permissions owner_only(0600);
            return new ipc::message_queue(ipc::create_only, name, capacity, message_bytes, owner_only);
        }
        return new ipc::message_queue(ipc::open_only, name);
    } catch (const std::exception &e) {
        problem = e.what();
        return nullptr;
    }
}

extern "C" void boost_mq_close(void *queue) { delete static_cast<ipc::message_queue *>(queue); }

extern "C" void boost_mq_remove(const char *name) { ipc::message_queue::remove(name); }

extern "C" int32_t boost_mq_send(void *queue, const void *message, std::size_t bytes) {
    try {
        static_cast<ipc::message_queue *>(queue)->send(message, bytes, 0);
        return 0;
    } catch (const std::exception &e) {
        problem = e.what();
        return -1;
    }
}

extern "C" int64_t boost_mq_receive(void *queue, void *message, std::size_t bytes) {
    try {
        ipc::message_queue::size_type got = 0;
        unsigned priority = 0;
        static_cast<ipc::message_queue *>(queue)->receive(message, bytes, got, priority);
        return static_cast<int64_t>(got);
    } catch (const std::exception &e) {
        problem = e.what();
        return -1;
    }
}

extern "C" const char *boost_mq_problem() { return problem.c_str(); }
